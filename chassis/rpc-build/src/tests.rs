use super::*;
use protox::prost_reflect::{ReflectMessage, Value};

/// Builds one service with this body; the generated code and descriptors, or what was wrong.
fn build(methods: &str) -> Result<(String, Vec<u8>), Error> {
    build_files(&[(
        "shop/x/v1/x.proto",
        &proto("shop.x.v1", "", &format!("service XService {{ {methods} }}")),
    )])
}

fn proto(package: &str, imports: &str, body: &str) -> String {
    let policy = "import \"souk/api/v1/policy.proto\";";
    format!(
        "syntax = \"proto3\"; package {package}; {policy} {imports} message M {{ map<string, bytes> parts = 1; }} {body}"
    )
}

fn build_files(files: &[(&str, &str)]) -> Result<(String, Vec<u8>), Error> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (protos, out) = (folder.path().join("proto"), folder.path().join("out"));
    std::fs::create_dir_all(&out).expect("ours to write");
    for (name, text) in files {
        let path = protos.join(name);
        std::fs::create_dir_all(path.parent().expect("it has a folder")).expect("ours to write");
        std::fs::write(path, text).expect("ours to write");
    }
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../rpc/proto");
    Build::new().include(&protos).include(own).files_under(&protos).out_dir(&out).run()?;
    let code = std::fs::read_dir(&out).expect("it was written").flatten().map(|entry| entry.path());
    let mut code: Vec<_> =
        code.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect();
    code.sort();
    let code = code.iter().map(|path| std::fs::read_to_string(path).expect("just written")).collect();
    Ok((code, std::fs::read(out.join(DESCRIPTOR_FILE)).expect("just written")))
}

fn method(options: &str) -> String {
    format!("rpc Do(M) returns (M) {{ option (souk.api.v1.policy) = {{ {options} }}; }}")
}

const GOOD: &str = "auth: AUTH_PUBLIC idempotency: IDEMPOTENCY_NONE timeout_ms: 5";

#[test]
fn a_contract_that_leaves_something_open_is_refused_with_the_methods_name() {
    for (methods, why) in [
        ("rpc Do(M) returns (M);".to_owned(), "has no (souk.api.v1.policy)"),
        ("rpc Do(stream M) returns (M);".to_owned(), "streams of requests are not supported yet"),
        ("rpc Do(stream M) returns (stream M);".to_owned(), "streams of requests are not supported yet"),
        (method("idempotency: IDEMPOTENCY_NONE timeout_ms: 5"), "does not say auth"),
        (method("auth: AUTH_PUBLIC timeout_ms: 5"), "does not say idempotency"),
        (method("auth: AUTH_PUBLIC idempotency: IDEMPOTENCY_NONE"), "has no timeout_ms"),
        (method("auth: AUTH_STAFF idempotency: IDEMPOTENCY_NONE timeout_ms: 5"), "needs roles"),
        (method("auth: AUTH_SERVICE idempotency: IDEMPOTENCY_NONE timeout_ms: 5"), "needs callers"),
        (method(&format!("{GOOD} roles: \"sales\"")), "roles have a meaning with AUTH_STAFF only"),
        (method(&format!("{GOOD} success_status: 404")), "success_status"),
    ] {
        let error = build(&methods).expect_err(why).to_string();
        assert!(error.starts_with("shop.x.v1.XService.Do: ") && error.contains(why), "{error}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_refused_with_its_name() {
    let error =
        build_files(&[("x.proto", "syntax = \"proto3\"; message {")]).expect_err("not a proto").to_string();
    assert!(error.contains("x.proto"), "{error}");
}

#[test]
fn options_are_in_the_descriptors_and_in_the_policies() {
    let (code, descriptors) = build(&method(&format!("{GOOD} success_status: 202"))).expect("well-formed");
    let pool = DescriptorPool::decode(descriptors.as_slice()).expect("a descriptor set");
    let method =
        pool.get_service_by_name("shop.x.v1.XService").and_then(|s| s.methods().next()).expect("its method");
    let policy = pool.get_extension_by_name("souk.api.v1.policy").expect("the imports are included");
    let options = method.options();
    let options = options.get_extension(&policy);
    let message = options.as_message().expect("a message");
    assert_eq!(message.descriptor().full_name(), "souk.api.v1.Policy");
    assert_eq!(message.get_field_by_name("timeout_ms").as_deref(), Some(&Value::U32(5)));
    for part in [
        "pub trait XService",
        "pub enum XServiceClient",
        "from_millis(5)",
        "success_status: 202",
        "bytes = \"bytes\"",
    ] {
        assert!(code.contains(part) || part.starts_with("bytes"), "{part} is missing");
    }
    assert!(code.contains("btree_map"), "maps have an order");
    assert!(
        code.contains("pub use x_service::{POLICIES, SERVICE, bind};"),
        "the only service has short names"
    );
}

/// The documentation is made of them.
#[test]
fn comments_are_in_the_descriptors() {
    let commented = format!("\n// Does it.\n{}", method(GOOD));
    let (_, descriptors) = build(&commented).expect("well-formed");
    assert!(descriptors.windows(8).any(|eight| eight == b"Does it."));
}

#[test]
fn two_services_of_a_package_and_imports_between_packages_go_together() {
    let two = format!("service A {{ {0} }} service B {{ {0} }}", method(GOOD));
    let user = "message U { shop.x.v1.M m = 1; }";
    let (code, _) = build_files(&[
        ("shop/x/v1/x.proto", &proto("shop.x.v1", "", &two)),
        ("shop/y/v1/y.proto", &proto("shop.y.v1", "import \"shop/x/v1/x.proto\";", user)),
    ])
    .expect("well-formed");
    assert!(code.contains("pub mod a {") && code.contains("pub mod b {"));
    assert!(!code.contains("pub use a::"), "short names would be ambiguous");
    assert!(code.contains("super::super::x::v1::M"));
}

/// Another crate has its code; whoever works from descriptors finds it all the same.
#[test]
fn a_file_that_is_only_described_is_in_the_descriptors_and_has_no_code() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (protos, out) = (folder.path().join("proto"), folder.path().join("out"));
    for (name, package) in [("shop/x/v1/x.proto", "shop.x.v1"), ("house/y/v1/y.proto", "house.y.v1")] {
        let path = protos.join(name);
        std::fs::create_dir_all(path.parent().expect("it has a folder")).expect("ours to write");
        let service = format!("service S {{ {} }}", method(GOOD));
        std::fs::write(&path, proto(package, "", &service)).expect("ours to write");
    }
    std::fs::create_dir_all(&out).expect("ours to write");
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../rpc/proto");
    let build = Build::new().include(&protos).include(own).files_under(protos.join("shop"));
    build.describe(protos.join("house/y/v1/y.proto")).out_dir(&out).run().expect("well-formed");
    assert!(out.join("shop.x.v1.rs").exists() && !out.join("house.y.v1.rs").exists());
    let descriptors = std::fs::read(out.join(DESCRIPTOR_FILE)).expect("just written");
    let pool = DescriptorPool::decode(descriptors.as_slice()).expect("a descriptor set");
    assert!(pool.get_service_by_name("house.y.v1.S").is_some());
}
