//! Modules of one folder do not import each other in circles. A reader could understand none of them alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::source;

/// The imports of each folder: `src/http`, then `body`, then `{envelope, error}`.
type Graph = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// Adds the imports of one file to every folder that it is in.
fn add(graph: &mut Graph, file: &str, source: &str) {
    let module = source::module_of(file);
    let tokens = source::without_tests(&source::tokens(source));
    let paths = source::named(&tokens, file);
    for (depth, own) in module.iter().enumerate() {
        let folder = &module[..depth];
        let names = graph.entry(folder.join("/")).or_default().entry(own.clone()).or_default();
        for path in paths.iter().filter_map(|name| name.path.strip_prefix(&["crate".to_owned()])) {
            if let Some(other) = path.strip_prefix(folder).and_then(|below| below.first()) {
                names.insert(other.clone());
            }
        }
    }
}

/// The modules that a module imports, directly or through others of its folder.
fn reached<'a>(from: &'a str, modules: &'a BTreeMap<String, BTreeSet<String>>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut next = vec![from];
    while let Some(module) = next.pop() {
        for other in modules.get(module).into_iter().flatten() {
            // A name that is no module of the folder is an item.
            if other != module && modules.contains_key(other) && found.insert(other.as_str()) {
                next.push(other);
            }
        }
    }
    found
}

/// Each circle as `http/{body,envelope,error}`.
fn circles(graph: &Graph) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (folder, modules) in graph {
        for module in modules.keys() {
            let together: Vec<&str> = reached(module, modules)
                .into_iter()
                .filter(|other| reached(other, modules).contains(module.as_str()))
                .collect();
            if !together.is_empty() {
                found.insert(format!("{folder}/{{{}}}", together.join(",")));
            }
        }
    }
    found
}

#[test]
fn modules_of_a_folder_do_not_go_in_circles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut graph = Graph::new();
    for path in ["src", "crates"].iter().flat_map(|folder| source::files(&root.join(folder))) {
        let file = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
        if !source::is_test(&file) {
            add(&mut graph, &file, &std::fs::read_to_string(&path).unwrap());
        }
    }
    assert_eq!(circles(&graph), BTreeSet::new());
}

#[test]
fn a_circle_is_found() {
    let mut graph = Graph::new();
    for (file, source) in [
        ("src/http/mod.rs", "mod one; mod two; mod three; pub use one::One;"),
        ("src/http/one.rs", "use super::two;"),
        ("src/http/two.rs", "fn f(_: crate::http::three::Three) {}"),
        ("src/http/three/deep.rs", "use super::super::one::{self, One};"),
        ("src/http/four.rs", "use super::{one, two}; #[cfg(test)] mod tests { use super::super::five; }"),
        ("src/http/five.rs", "use super::four::Four;"),
        ("crates/domain/src/otp.rs", "use crate::phone::Phone;"),
        ("crates/domain/src/phone.rs", "fn f() { super::otp::f() }"),
    ] {
        add(&mut graph, file, source);
    }
    let expected = ["domain/{otp,phone}", "http/{one,three,two}"];
    assert_eq!(circles(&graph), expected.into_iter().map(str::to_owned).collect());
}
