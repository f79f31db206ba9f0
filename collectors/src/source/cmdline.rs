//! `/proc/cmdline`: the boot parameters, split as the kernel splits them.

/// Where it is.
pub(crate) const PATH: &str = "/proc/cmdline";

/// The parameters of the kernel, in order. What follows `--` is for init.
pub(crate) fn parameters(cmdline: &str) -> impl Iterator<Item = String> {
    words(cmdline).into_iter().take_while(|word| word != "--")
}

/// Name and value of a parameter. The kernel does not tell `-` from `_` in names, so this does not either.
pub(crate) fn assignment(parameter: &str) -> (String, &str) {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    (name.replace('-', "_"), value)
}

/// Splits as the kernel does: at white space outside of double quotes. The quotes are dropped.
fn words(cmdline: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in cmdline.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_end_where_those_of_init_begin() {
        let read = |cmdline| parameters(cmdline).collect::<Vec<_>>();
        assert_eq!(read("ro  quiet\tfips=1 -- fips=0\n"), ["ro", "quiet", "fips=1"]);
        assert_eq!(read(r#"dyndbg="file x +p" a="1"#), ["dyndbg=file x +p", "a=1"]);
        assert_eq!(assignment("nohz-full=2-15"), ("nohz_full".to_owned(), "2-15"));
        assert_eq!(assignment("nopti"), ("nopti".to_owned(), ""));
    }
}
