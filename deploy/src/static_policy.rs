//! The policies as files that an API server reads at its start (manifest-based admission control, Kubernetes
//! 1.37): nobody can change or delete them through the API.

use crate::{Error, File, Manifests, Object, Settings};

/// What the names of such policies and bindings end with. The API takes none of that name.
pub const STATIC_END: &str = ".static.k8s.io";

impl Manifests {
    /// The validating policies of these settings and their bindings, as such files have them. What takes the
    /// startup taint away is none of them: the API server reads it from another folder.
    pub fn static_policies(settings: &Settings) -> Result<Self, Error> {
        let of_file = |file: &File| {
            let objects: Vec<_> = file.objects.iter().cloned().filter_map(named_for_a_file).collect();
            (!objects.is_empty()).then(|| File { objects, ..file.clone() })
        };
        let files = Self::new(settings)?.files().iter().filter_map(of_file).collect();
        Ok(Self::of_files(&settings.command, files))
    }
}

fn named_for_a_file(mut object: Object) -> Option<Object> {
    match &mut object {
        Object::ValidatingAdmissionPolicy(_) => {}
        Object::ValidatingAdmissionPolicyBinding(binding) => {
            binding.spec.as_mut()?.policy_name.as_mut()?.push_str(STATIC_END);
        }
        _ => return None,
    }
    object.metadata_mut().name.as_mut()?.push_str(STATIC_END);
    Some(object)
}
