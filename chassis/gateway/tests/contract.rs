//! The shop's own contract, as its documentation shows it: nothing is left without a word.
use serde_json::Value;
use souk_gateway::Gateway;
use souk_rpc::Peers;
use std::path::{Path, PathBuf};

mod common;

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder exists") {
        let path = entry.expect("readable").path();
        match path.is_dir() {
            true => collect(&path, files),
            false => files.push(path),
        }
    }
}

fn document() -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (protos, chassis) = (root.join("proto"), root.join("chassis/rpc/proto"));
    let mut files = Vec::new();
    collect(&protos, &mut files);
    files.sort();
    let mut compiler = protox::Compiler::new([protos, chassis]).expect("the folders exist");
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(files).expect("the contract is well formed");
    let gateway = Gateway::new(&compiler.encode_file_descriptor_set(), Peers::new(), common::options());
    serde_json::from_slice(gateway.expect("it can be served").openapi()).expect("JSON")
}

fn is_silent(of: &Value) -> bool {
    of["description"].as_str().unwrap_or_default().is_empty()
}

#[test]
fn every_field_and_every_call_is_explained() {
    let document = document();
    let mut silent = Vec::new();
    let schemas = document["components"]["schemas"].as_object().expect("schemas by name");
    for (name, schema) in schemas.iter().filter(|(name, _)| name.starts_with("souk.")) {
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let is_own_word = property.get("$ref").is_some();
            if is_silent(property) && !is_own_word {
                silent.push(format!("{name}.{field}"));
            }
        }
    }
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (verb, operation) in item.as_object().expect("operations by verb") {
            let summary = operation["summary"].as_str().unwrap_or_default();
            if !summary.contains(' ') {
                silent.push(format!("{verb} {path}"));
            }
            let parameters = operation["parameters"].as_array().expect("a list");
            let mute = parameters.iter().filter(|parameter| is_silent(parameter));
            silent.extend(mute.map(|parameter| format!("{verb} {path} {}", parameter["name"])));
        }
    }
    assert_eq!(silent, Vec::<String>::new(), "these have no comment in proto/");
}

#[test]
fn what_is_refused_when_absent_is_required() {
    let document = document();
    let required = |path: &str, name: &str| {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().expect("parameters").iter();
        parameters.filter(|p| p["name"] == name).map(|p| p["required"] == true).collect::<Vec<_>>()
    };
    for (path, name, expected) in [
        ("/api/v1/products:search", "q", true),
        ("/api/v1/products:search", "pageSize", false),
        ("/api/v1/variants:batchGet", "skus", true),
        ("/api/v1/variants:batchGet", "market", true),
        ("/api/v1/cart", "market", false),
    ] {
        assert_eq!(required(path, name), [expected], "{path} {name}");
    }
    let add = &document["components"]["schemas"]["souk.cart.v1.AddItemRequest"]["required"];
    assert_eq!(*add, serde_json::json!(["sku", "quantity", "opId"]));
    assert_eq!(document["tags"][0]["name"], "UserService", "nothing goes without a token");
}
