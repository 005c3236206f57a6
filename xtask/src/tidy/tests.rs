//! Each rule finds what it is for and stays quiet about the rest; and the house itself is tidy.
use super::functions::functions;
use super::house::{Dependency, House, Kind, Package, TextFile, packages_of};
use super::masked::Masked;
use super::*;

fn package(folder: &str, level: u64, dependencies: &[(&str, Kind)]) -> Package {
    let dependency = |(name, kind): &(&str, Kind)| Dependency {
        name: name.rsplit('/').next().unwrap_or(name).to_owned(),
        folder: (name.contains('/') || *name == "contracts").then(|| (*name).to_owned()),
        kind: *kind,
    };
    Package {
        name: format!("souk-{}", folder.rsplit('/').next().unwrap_or(folder)),
        folder: folder.to_owned(),
        level: Some(level),
        sagas: Vec::new(),
        dependencies: dependencies.iter().map(dependency).collect(),
    }
}

fn found(house: &House) -> Vec<String> {
    findings(house).iter().map(Finding::to_string).collect()
}

/// Each part must stand in the finding of the same place, and there must be no others.
fn expect(house: &House, parts: &[&str]) {
    let found = found(house);
    assert_eq!(found.len(), parts.len(), "{found:#?}");
    for (finding, part) in found.iter().zip(parts) {
        assert!(finding.contains(part), "{finding:?} should contain {part:?}");
    }
}

fn with_files(files: &[(&str, &str)]) -> House {
    House { files: files.iter().map(|(path, text)| TextFile::new(path, text)).collect(), ..House::default() }
}

/// A service that is in order, with these files besides.
fn service(files: &[(&str, &str)]) -> House {
    let mut house =
        with_files(&[("services/order/README.md", "# order\n"), ("services/order/Cargo.toml", "")]);
    house.files.extend(with_files(files).files);
    house.packages = vec![package("services/order", 5, &[])];
    house
}

#[test]
fn a_crate_depends_only_on_lower_ones() {
    let packages = vec![
        package("chassis/kernel", 0, &[]),
        package("chassis/sql", 1, &[("chassis/kernel", Kind::Normal), ("rusqlite", Kind::Normal)]),
        package(
            "chassis/rpc",
            2,
            &[("chassis/sql", Kind::Dev), ("chassis/saga", Kind::Dev), ("tonic", Kind::Normal)],
        ),
        package("chassis/saga", 3, &[("chassis/bus", Kind::Normal)]),
        package("chassis/bus", 3, &[("chassis/host", Kind::Build), ("tonic", Kind::Dev)]),
        Package { level: None, ..package("chassis/host", 0, &[]) },
        package("chassis/gateway", 4, &[("chassis/saga", Kind::Build)]),
    ];
    let mut house = House { packages, ..House::default() };
    expect(
        &house,
        &[
            "chassis/host/Cargo.toml:1: direction: souk-host states no level",
            "souk-saga (level 3) depends on bus (level 3)",
        ],
    );
    house.packages[5].level = Some(4);
    expect(&house, &["souk-bus (level 3) depends on host (level 4)", "souk-saga (level 3) depends on bus"]);
}

#[test]
fn services_and_chassis_keep_their_distance() {
    let mut house = service(&[]);
    house.packages = vec![
        package("services/order", 5, &[("contracts", Kind::Normal), ("services/cart", Kind::Dev)]),
        package("chassis/host", 6, &[("contracts", Kind::Normal)]),
        package("contracts", 3, &[]),
        package("chassis/bus", 6, &[("services/cart", Kind::Normal), ("rdkafka", Kind::Normal)]),
        package(
            "chassis/decider",
            1,
            &[("tokio", Kind::Normal), ("tokio", Kind::Dev), ("serde", Kind::Normal)],
        ),
        package("chassis/gateway", 4, &[("rusqlite", Kind::Normal)]),
        package("bench", 6, &[("rusqlite", Kind::Normal)]),
    ];
    expect(
        &house,
        &[
            "chassis/bus/Cargo.toml:1: direction: souk-bus is chassis and depends on cart",
            "souk-decider is pure and depends on tokio",
            "souk-gateway depends on rusqlite, which only souk-sql and souk-eventstore may know",
            "souk-host is chassis and depends on contracts",
            "souk-order is a service and depends on the service cart",
        ],
    );
}

#[test]
fn cargo_metadata_is_understood() {
    let metadata = serde_json::json!({"packages": [{
        "name": "souk-order",
        "manifest_path": "/house/services/order/Cargo.toml",
        "metadata": {"souk": {"level": 5, "sagas": ["place.rs", "cancel"]}},
        "dependencies": [
            {"name": "souk-kernel", "path": "/house/chassis/kernel", "kind": null},
            {"name": "souk-rpc-build", "path": "/house/chassis/rpc-build", "kind": "build"},
            {"name": "tempfile", "kind": "dev"},
        ],
    }, {"name": "bare", "manifest_path": "/house/bare/Cargo.toml", "metadata": null, "dependencies": []}]});
    let packages = packages_of(Path::new("/house"), &metadata);
    let dependency = |name: &str, folder: Option<&str>, kind| Dependency {
        name: name.into(),
        folder: folder.map(str::to_owned),
        kind,
    };
    assert_eq!(
        packages[0],
        Package {
            name: "souk-order".into(),
            folder: "services/order".into(),
            level: Some(5),
            sagas: vec!["place.rs".into(), "cancel.rs".into()],
            dependencies: vec![
                dependency("souk-kernel", Some("chassis/kernel"), Kind::Normal),
                dependency("souk-rpc-build", Some("chassis/rpc-build"), Kind::Build),
                dependency("tempfile", None, Kind::Dev),
            ],
        }
    );
    assert_eq!((packages[1].level, packages[1].folder.as_str()), (None, "bare"));
}

#[test]
fn a_service_has_the_files_of_every_service() {
    let files = [
        ("services/order/src/lib.rs", ""),
        ("services/order/src/domain.rs", ""),
        ("services/order/src/domain/pricing.rs", ""),
        ("services/order/src/proto/pricing.rs", ""),
        ("services/order/src/grpc/pricing.rs", ""),
        ("services/order/src/place.rs", ""),
        ("services/order/src/utils.rs", ""),
        ("services/order/events/order-placed-1.json", "{}"),
        ("services/order/tests/rules.rs", ""),
        ("services/order/build.rs", ""),
    ];
    let mut house = service(&files);
    let place = "services/order/src/place.rs:1: service-files";
    expect(
        &house,
        &["services/order/build.rs:1: service-files", place, "services/order/src/utils.rs:1: service-files"],
    );
    house.packages[0].sagas = vec!["place.rs".into(), "refund.rs".into()];
    expect(
        &house,
        &["names the saga refund.rs", "services/order/build.rs:1", "services/order/src/utils.rs:1"],
    );
}

#[test]
fn a_service_has_a_readme_of_one_screen() {
    let mut house = service(&[]);
    house.files.retain(|file| file.name() != "README.md");
    expect(&house, &["services/order/README.md:1: readme: is missing"]);
    house.files.push(TextFile::new("services/order/README.md", &"line\n".repeat(61)));
    expect(&house, &["has 61 lines, over 60"]);
}

#[test]
fn pure_files_are_pure() {
    let impure = "//! async, tokio and rand are only mentioned here\nasync fn f() {\n    g().await;\n}\nuse std::fs;\n";
    let house = service(&[
        ("services/order/src/domain.rs", impure),
        ("services/order/src/grpc.rs", impure),
        (
            "services/order/src/proto.rs",
            "use std::time::SystemTime;\nconst S: &str = \"tokio\";\nlet operand = brand;\n",
        ),
        ("services/order/src/grpc/pricing.rs", impure),
        ("services/order/src/proto/pricing.rs", "use std::net;\n"),
    ]);
    expect(
        &house,
        &[
            "services/order/src/domain.rs:2: pure: `async`",
            "services/order/src/domain.rs:3: pure: `await`",
            "services/order/src/domain.rs:5: pure: `std::fs`",
            "services/order/src/proto.rs:1: pure: `SystemTime`",
            "services/order/src/proto/pricing.rs:1: pure: `std::net`",
        ],
    );
}

#[test]
fn functions_are_measured_past_whatever_looks_like_a_brace() {
    let source = r##"
fn one() {}
fn four<'a>(x: [u8; 3]) -> &'a str
where [(); { 3 }]: Sized {
    "}" // }
}
trait T { fn none(&self) -> [u8; 2]; fn r#type(&self) { let c = '}'; } }
type Pointer = fn(u8) -> u8;
macro_rules! m { ($name:ident) => { fn $name() { /* } */
    let raw = r#"" } "#;
} } }
fn outer() {
    fn inner() {
    }
}
"##;
    let code = Masked::new(source).code;
    let measured: Vec<(&str, u64, u64)> =
        functions(&code).iter().map(|f| (f.name, f.line, f.lines)).collect();
    assert_eq!(
        measured,
        [("one", 2, 1), ("four", 3, 4), ("r", 7, 1), ("name", 9, 3), ("outer", 12, 4), ("inner", 13, 2)]
    );
}

#[test]
fn seventy_lines_pass_and_one_more_fails() {
    let of_lines =
        |lines: usize| format!("/// Says.\nfn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2));
    expect(&with_files(&[("chassis/bus/src/lib.rs", &of_lines(70))]), &[]);
    let house = with_files(&[("chassis/bus/src/lib.rs", &of_lines(71))]);
    expect(&house, &["chassis/bus/src/lib.rs:2: function: `long` has 71 lines"]);
    expect(&with_files(&[("a.rs", &"//\n".repeat(700)), ("a.md", &"text\n".repeat(900))]), &[]);
    expect(&with_files(&[("a.rs", &"//\n".repeat(701))]), &["a.rs:1: file: the file has 701 lines"]);
}

#[test]
fn the_ratchet_excuses_so_much_and_no_more() {
    let long = format!("fn long() {{\n{}}}\n", "    step();\n".repeat(78));
    let ratcheted = |list: &str| House { ratchet: list.to_owned(), ..with_files(&[("a.rs", &long)]) };
    expect(&ratcheted("# why\n\nfunction a.rs long 80\n"), &[]);
    expect(&ratcheted("function a.rs long 79\n"), &["a.rs:1: function: `long` has 80 lines"]);
    let stale = "function a.rs long 80\nfunction a.rs gone 80\nfile a.rs - 900\n";
    expect(
        &ratcheted(stale),
        &["xtask/ratchet.txt:2: ratchet: is no longer needed", "xtask/ratchet.txt:3: ratchet"],
    );
    let wrong = "function a.rs long 80\nsql a.rs - 1\nfunction a.rs\n";
    expect(
        &ratcheted(wrong),
        &["xtask/ratchet.txt:2: ratchet: must be", "xtask/ratchet.txt:3: ratchet: must be"],
    );
}

#[test]
fn sql_stands_in_its_places() {
    let sql = "/// SELECT is only mentioned here.\nconst S: &str = \"SELECT a FROM b\";\nconst T: &str = \"select one\";\n";
    let house = with_files(&[
        ("chassis/sql/src/lib.rs", sql),
        ("chassis/eventstore/src/store.rs", sql),
        ("services/order/src/views.rs", sql),
        ("services/order/src/grpc.rs", sql),
    ]);
    expect(&house, &["services/order/src/grpc.rs:2: sql: SQL outside of its places"]);
}

#[test]
fn views_keep_to_the_portable_subset() {
    let sql = "/// INTEGER, now()\nconst A: &str = \"CREATE TABLE a (\n id TEXT,\n n INTEGER)\";\n\
               const B: &str = \"SELECT n ->> 1 FROM a WHERE t < now()\";\nconst C: &str = \"CREATE TABLE c (n BIGINT)\";\n";
    let house = with_files(&[("services/order/src/views.rs", sql), ("chassis/sql/src/lib.rs", sql)]);
    let at = |line: u64, text: &str| format!("services/order/src/views.rs:{line}: portable-sql: `{text}`");
    expect(&house, &[&at(4, "INTEGER"), &at(5, "->>"), &at(5, "now()")]);
}

#[test]
fn empty_words_are_no_names() {
    let source = "struct OrderManager;\nenum Database { Info }\npub(crate) trait HandlerOf {}\ntype Data = u8;\n\
                  impl Body for B {\n    type Data = Bytes;\n}\nstruct Base64;\n// struct Helper\n";
    expect(
        &with_files(&[("a.rs", source)]),
        &["a.rs:1: type-name: `OrderManager`", "a.rs:3: type-name: `HandlerOf`", "a.rs:4: type-name: `Data`"],
    );
}

#[test]
fn unfinished_work_and_library_texts_are_found() {
    let source = "fn f() { todo!() }\nfn g() { Status::internal(e.to_string()) }\nfn h() { dbg!(1) }\n\
                  // todo!()\nlet todo = todo != 1;\nfn i() { unimplemented!(\"x\") }\n";
    expect(
        &with_files(&[("a.rs", source)]),
        &[
            "a.rs:1: unfinished: `todo!`",
            "a.rs:2: status-internal",
            "a.rs:3: unfinished: `dbg!`",
            "a.rs:6: unfinished",
        ],
    );
}

#[test]
fn an_exception_has_a_reason() {
    let source = "#![allow(dead_code)]\n#[allow(clippy::a, reason = \"because (b)\")]\n#[cfg_attr(test, allow(unused))]\n\
                  let x = [1, a[b.expect(\"one\")]];\nallow(dead_code);\n#[derive(A)] fn f() { allow(x) }\n#[expect(\n    unused,\n)]\n";
    expect(
        &with_files(&[("a.rs", source)]),
        &["a.rs:1: allow: `allow`", "a.rs:3: allow", "a.rs:7: allow: `expect`"],
    );
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    let path = concat!("see /wo", "rk/x");
    let house = with_files(&[("README.md", &format!("fine\n{path}\n")), ("deploy/a.yaml", "homework/x")]);
    expect(&house, &["README.md:2: machine-path"]);
}

#[test]
fn golden_events_are_never_edited() {
    let mut house = service(&[]);
    let golden = "services/order/events/order-placed-1.json".to_owned();
    house.goldens_touched = vec![golden.clone(), "services/removed/events/x-1.json".into()];
    expect(&house, &["services/order/events/order-placed-1.json:1: golden"]);
    house.ratchet = format!("golden {golden} - 1\n");
    expect(&house, &[]);
}

#[test]
fn the_history_tells_an_added_golden_from_an_edited_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
        let done =
            std::process::Command::new("git").arg("-C").arg(root).args(identity).args(arguments).output();
        let done = done.expect("git runs");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let events = root.join("services/order/events");
    std::fs::create_dir_all(&events).expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(events.join(name), text).expect("writes");
    git(&["init", "-q"]);
    for name in ["a-1.json", "b-1.json", "c-1.json", "d-1.json"] {
        write(name, "{\"a long enough\": \"text\"}");
    }
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "one"]);
    assert!(history::goldens_touched(root).is_empty());
    write("a-1.json", "{}");
    git(&["mv", "services/order/events/b-1.json", "services/order/events/b-2.json"]);
    git(&["commit", "-q", "-a", "-m", "two"]);
    write("c-1.json", "{}");
    write("e-1.json", "{}");
    let touched: Vec<String> =
        ["a", "b", "c"].iter().map(|name| format!("services/order/events/{name}-1.json")).collect();
    assert_eq!(history::goldens_touched(root), touched);
}

#[test]
fn the_house_is_tidy() {
    let findings = check(&workspace_root()).expect("the workspace can be read");
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "{} findings\n{}", lines.len(), lines.join("\n"));
}
