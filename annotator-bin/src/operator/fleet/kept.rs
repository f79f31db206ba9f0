//! What is kept of many nodes, of which most have the same: each once.

use std::collections::BTreeSet;
use std::sync::Arc;

/// What there is so far.
#[derive(Debug)]
pub(crate) struct Kept<T: ?Sized>(BTreeSet<Arc<T>>);

impl<T: ?Sized> Default for Kept<T> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<T: ?Sized + Ord> Kept<T>
where
    for<'a> Arc<T>: From<&'a T>,
{
    /// The one that is equal to this.
    pub(crate) fn keep(&mut self, value: &T) -> Arc<T> {
        if let Some(known) = self.0.get(value) {
            return Arc::clone(known);
        }
        let kept = Arc::from(value);
        self.0.insert(Arc::clone(&kept));
        kept
    }
}
