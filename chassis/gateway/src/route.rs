//! Path templates (AIP-127) and the trie that finds the one that fits.
//!
//! `/api/v1/orders/{order_id}:cancel` has a variable and a custom verb, `{name=shelves/*}` a variable of two
//! segments, `/files/{path=**}` one of any number. Segments are matched as they came and decoded afterwards, so
//! that an escaped slash in a SKU does not separate anything.
use crate::percent;
use std::collections::HashMap;
use std::fmt;

/// The most segments of a path.
const SEGMENTS_MAX: usize = 32;

/// Why a template cannot be routed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteError {
    /// The template is not well formed.
    Malformed(String),
    /// Two templates fit the same requests.
    Conflict(String, String),
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RouteError::Malformed(template) => write!(f, "the path template {template} is not well formed"),
            RouteError::Conflict(a, b) => write!(f, "the routes {a} and {b} fit the same requests"),
        }
    }
}

impl std::error::Error for RouteError {}

/// One segment of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// `*`: any one segment.
    One,
    /// `**`: all that follow, also none.
    Rest,
}

/// A variable of a template and the segments that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Variable {
    name: String,
    from: usize,
    /// Behind its last segment; `None` when it goes to the end.
    to: Option<usize>,
}

/// A template that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
    verb: Option<String>,
    variables: Vec<Variable>,
}

impl Template {
    /// Reads a template; `None` when it is not well formed.
    pub fn parse(template: &str) -> Option<Template> {
        let mut rest = template.strip_prefix('/')?;
        let mut parsed = Template { segments: Vec::new(), verb: None, variables: Vec::new() };
        // Outside of braces a colon can only start the verb.
        let after_braces = rest.rfind('}').map_or(0, |at| at + 1);
        if let Some(colon) = rest[after_braces..].find(':') {
            let (path, verb) = rest.split_at(after_braces + colon);
            let verb = &verb[1..];
            if verb.is_empty() || !verb.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
                return None;
            }
            (rest, parsed.verb) = (path, Some(verb.to_owned()));
        }
        while !rest.is_empty() {
            let end = if rest.starts_with('{') {
                rest.find('}')? + 1
            } else {
                rest.find('/').unwrap_or(rest.len())
            };
            let (part, after) = rest.split_at(end);
            parsed.part(part)?;
            rest = match after.strip_prefix('/') {
                Some("") => return None,
                Some(more) => more,
                None if after.is_empty() => after,
                None => return None,
            };
        }
        let rest_is_last = parsed.segments.iter().rev().skip(1).all(|segment| *segment != Segment::Rest);
        (rest_is_last && parsed.segments.len() <= SEGMENTS_MAX).then_some(parsed)
    }

    fn part(&mut self, part: &str) -> Option<()> {
        let Some(variable) = part.strip_prefix('{') else { return self.segment(part) };
        let (name, pattern) =
            variable.strip_suffix('}')?.split_once('=').unwrap_or((variable.strip_suffix('}')?, "*"));
        let named =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
        let new = self.variables.iter().all(|known| known.name != name);
        if !(named && new) {
            return None;
        }
        let from = self.segments.len();
        for segment in pattern.split('/') {
            self.segment(segment)?;
        }
        let to = (self.segments.last() != Some(&Segment::Rest)).then_some(self.segments.len());
        self.variables.push(Variable { name: name.to_owned(), from, to });
        Some(())
    }

    fn segment(&mut self, segment: &str) -> Option<()> {
        let literal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
        self.segments.push(match segment {
            "*" => Segment::One,
            "**" => Segment::Rest,
            text if !text.is_empty() && text.bytes().all(literal) => Segment::Literal(text.to_owned()),
            _ => return None,
        });
        Some(())
    }

    /// The names of the variables, in order.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|variable| variable.name.as_str())
    }

    /// The path with each variable as `{name}`, as OpenAPI writes it.
    pub fn to_openapi(&self) -> String {
        let mut path = String::new();
        let mut index = 0;
        while index < self.segments.len() {
            path.push('/');
            if let Some(variable) = self.variables.iter().find(|v| v.from == index) {
                path.push_str(&format!("{{{}}}", variable.name));
                index = variable.to.unwrap_or(self.segments.len());
                continue;
            }
            path.push_str(match &self.segments[index] {
                Segment::Literal(text) => text,
                Segment::One => "*",
                Segment::Rest => "**",
            });
            index += 1;
        }
        if let Some(verb) = &self.verb {
            path.push_str(&format!(":{verb}"));
        }
        path
    }

    /// The decoded values of the variables in a path that fits; `Err` with the name of one that is not well
    /// encoded.
    fn values(&self, segments: &[&str]) -> Result<Vec<String>, String> {
        let decode = |variable: &Variable| {
            let part = &segments[variable.from..variable.to.unwrap_or(segments.len())];
            let value = match part {
                [one] if variable.to.is_some() => percent::decode(one),
                many => percent::decode_keeping_slashes(&many.join("/")),
            };
            value.ok_or_else(|| variable.name.clone())
        };
        self.variables.iter().map(decode).collect()
    }
}

/// What a request's path and method lead to.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The route and the values of its variables.
    Route {
        /// The number that the route was added with.
        target: usize,
        /// The decoded values, in the order of [`Template::variables`].
        values: Vec<String>,
    },
    /// The path exists, but not with this method.
    OtherMethods(Vec<String>),
    /// A variable of the path is not well percent-encoded.
    BadEncoding(String),
    /// No such path.
    Nothing,
}

/// All routes.
#[derive(Debug, Default)]
pub struct Routes {
    nodes: Vec<Node>,
    routes: Vec<Route>,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, usize>,
    one: Option<usize>,
    ends: Vec<End>,
    rest: Vec<End>,
}

/// A path ends here, perhaps with a verb.
#[derive(Debug)]
struct End {
    verb: Option<String>,
    route: usize,
}

#[derive(Debug)]
struct Route {
    method: String,
    template: Template,
    name: String,
    target: usize,
}

impl Routes {
    /// No routes yet.
    pub fn new() -> Self {
        Self { nodes: vec![Node::default()], routes: Vec::new() }
    }

    /// Adds a route that leads to `target`. Fails when another one fits the same requests.
    pub fn add(&mut self, method: &str, template: &str, target: usize) -> Result<(), RouteError> {
        let parsed = Template::parse(template).ok_or_else(|| RouteError::Malformed(template.to_owned()))?;
        let name = format!("{method} {template}");
        let mut at = 0;
        let mut rest = false;
        for segment in &parsed.segments {
            match segment {
                Segment::Literal(text) => at = self.literal_child(at, text),
                Segment::One => at = self.one_child(at),
                Segment::Rest => rest = true,
            }
        }
        let route = self.routes.len();
        let ends = if rest { &mut self.nodes[at].rest } else { &mut self.nodes[at].ends };
        let same = ends.iter().find(|end| end.verb == parsed.verb && self.routes[end.route].method == method);
        if let Some(end) = same {
            return Err(RouteError::Conflict(self.routes[end.route].name.clone(), name));
        }
        ends.push(End { verb: parsed.verb.clone(), route });
        self.routes.push(Route { method: method.to_owned(), template: parsed, name, target });
        Ok(())
    }

    fn literal_child(&mut self, at: usize, text: &str) -> usize {
        let next = self.nodes.len();
        let child = *self.nodes[at].literals.entry(text.to_owned()).or_insert(next);
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }

    fn one_child(&mut self, at: usize) -> usize {
        let next = self.nodes.len();
        let child = *self.nodes[at].one.get_or_insert(next);
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }

    /// Finds the route for a request. `HEAD` is answered by `GET`.
    pub fn find(&self, method: &str, path: &str) -> Found {
        let Some(path) = path.strip_prefix('/') else { return Found::Nothing };
        let mut slots = [""; SEGMENTS_MAX];
        let mut count = 0;
        for segment in path.split('/') {
            let Some(slot) = slots.get_mut(count) else { return Found::Nothing };
            *slot = segment;
            count += 1;
        }
        if path.is_empty() {
            count = 0;
        }
        let segments = &mut slots[..count];
        // A verb counts before the same text counts as the end of a value.
        if let Some((last, verb)) = segments.last().and_then(|last| last.rsplit_once(':')) {
            let whole = segments[count - 1];
            segments[count - 1] = last;
            let found = self
                .search(0, segments, 0, Some(verb))
                .map(|ends| self.choose(ends, Some(verb), method, segments));
            if let Some(found) = found {
                return found;
            }
            segments[count - 1] = whole;
        }
        let ends = self.search(0, segments, 0, None);
        ends.map_or(Found::Nothing, |ends| self.choose(ends, None, method, segments))
    }

    /// The ends that fit: literals before `*` before `**`.
    fn search(&self, at: usize, segments: &[&str], depth: usize, verb: Option<&str>) -> Option<&[End]> {
        let node = &self.nodes[at];
        let fits = |ends: &[End]| ends.iter().any(|end| end.verb.as_deref() == verb);
        let Some(segment) = segments.get(depth) else {
            return [&node.ends, &node.rest].into_iter().find(|ends| fits(ends)).map(Vec::as_slice);
        };
        let literal =
            node.literals.get(*segment).and_then(|child| self.search(*child, segments, depth + 1, verb));
        if literal.is_some() {
            return literal;
        }
        // What a proxy might remove or resolve is never a value.
        let is_value = |segment: &str| !matches!(segment, "" | "." | "..");
        let one = node.one.filter(|_| is_value(segment));
        let one = one.and_then(|child| self.search(child, segments, depth + 1, verb));
        let rest_fits = fits(&node.rest) && segments[depth..].iter().all(|segment| is_value(segment));
        one.or_else(|| rest_fits.then_some(node.rest.as_slice()))
    }

    fn choose(&self, ends: &[End], verb: Option<&str>, method: &str, segments: &[&str]) -> Found {
        let of_verb =
            || ends.iter().filter(|end| end.verb.as_deref() == verb).map(|end| &self.routes[end.route]);
        let wanted = if method == "HEAD" { "GET" } else { method };
        let Some(route) = of_verb().find(|route| route.method == wanted) else {
            let mut allowed: Vec<String> = of_verb().map(|route| route.method.clone()).collect();
            if allowed.iter().any(|method| method == "GET") {
                allowed.push("HEAD".to_owned());
            }
            allowed.push("OPTIONS".to_owned());
            allowed.sort();
            return Found::OtherMethods(allowed);
        };
        match route.template.values(segments) {
            Ok(values) => Found::Route { target: route.target, values },
            Err(variable) => Found::BadEncoding(variable),
        }
    }
}

/// What the fuzz target does with its bytes: the first line is a template, the second a path.
#[doc(hidden)]
pub fn fuzz_target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (template, path) = text.split_once('\n').unwrap_or((text, "/"));
    let mut routes = Routes::new();
    if routes.add("GET", template, 0).is_err() {
        return;
    }
    let parsed = Template::parse(template).expect("it was added");
    for path in [path, template] {
        if let Found::Route { values, .. } = routes.find("GET", path) {
            assert_eq!(values.len(), parsed.variables().count());
        }
    }
    assert!(routes.add("GET", template, 1).is_err(), "a route conflicts with itself");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        let mut routes = Routes::new();
        let table = [
            ("GET", "/api/v1/orders"),
            ("POST", "/api/v1/orders"),
            ("GET", "/api/v1/orders/{order_id}"),
            ("POST", "/api/v1/orders/{order_id}:cancel"),
            ("GET", "/api/v1/orders/mine"),
            ("GET", "/api/v1/{name=shelves/*}/books/{book}"),
            ("GET", "/files/{path=**}"),
            ("PUT", "/files/{path=**}:sign"),
            ("POST", "/api/v1/orders:batch"),
            ("GET", "/"),
        ];
        for (target, (method, template)) in table.into_iter().enumerate() {
            routes.add(method, template, target).expect("no conflict");
        }
        routes
    }

    #[test]
    fn paths_lead_to_their_routes() {
        let routes = routes();
        let found = |method: &str, path: &str| match routes.find(method, path) {
            Found::Route { target, values } => format!("{target} {}", values.join("|")),
            Found::OtherMethods(allowed) => allowed.join(","),
            Found::BadEncoding(variable) => format!("bad {variable}"),
            Found::Nothing => "-".to_owned(),
        };
        for (method, path, expected) in [
            ("GET", "/api/v1/orders", "0 "),
            ("HEAD", "/api/v1/orders", "0 "),
            ("GET", "/api/v1/orders/ord_1", "2 ord_1"),
            ("GET", "/api/v1/orders/mine", "4 "),
            ("POST", "/api/v1/orders/ord_1:cancel", "3 ord_1"),
            ("GET", "/api/v1/orders/ord_1:cancel", "OPTIONS,POST"),
            ("GET", "/api/v1/orders/a:b", "2 a:b"),
            ("GET", "/api/v1/orders/a%3Acancel", "2 a:cancel"),
            ("POST", "/api/v1/orders/a:b:cancel", "3 a:b"),
            ("POST", "/api/v1/orders/ord_1", "GET,HEAD,OPTIONS"),
            ("DELETE", "/api/v1/orders", "GET,HEAD,OPTIONS,POST"),
            ("POST", "/api/v1/orders:batch", "8 "),
            ("GET", "/api/v1/orders/", "-"),
            ("GET", "/api/v1//orders", "-"),
            ("GET", "/api/v1/orders/..", "-"),
            ("GET", "/api/v1/orders/a%2Fb%20c", "2 a/b c"),
            ("GET", "/api/v1/orders/a/b", "-"),
            ("GET", "/api/v1/orders/%zz", "bad order_id"),
            ("GET", "/api/v1/orders/%ff", "bad order_id"),
            ("GET", "/api/v1/shelves/s1/books/b%2F1", "5 shelves/s1|b/1"),
            ("GET", "/files", "6 "),
            ("GET", "/files/a/b%2Fc/d", "6 a/b%2Fc/d"),
            ("GET", "/files/a/../b", "-"),
            ("PUT", "/files/a/b:sign", "7 a/b"),
            ("GET", "/", "9 "),
            ("GET", "", "-"),
            ("GET", "*", "-"),
            ("GET", &"/x".repeat(500), "-"),
        ] {
            assert_eq!(found(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn routes_that_fit_the_same_requests_are_refused() {
        let mut routes = routes();
        for template in
            ["/api/v1/orders/{id}", "/api/v1/orders/*", "/files/**", "/api/v1/shelves/{s}/books/{b=*}"]
        {
            let clash = routes.add("GET", template, 99);
            let expected = template != "/api/v1/shelves/{s}/books/{b=*}" || clash.is_err();
            assert!(matches!(clash, Err(RouteError::Conflict(..))) && expected, "{template}: {clash:?}");
        }
        assert_eq!(routes.add("DELETE", "/api/v1/orders/{id}", 99), Ok(()));
    }

    #[test]
    fn malformed_templates_are_refused() {
        for bad in [
            "",
            "a",
            "/a//b",
            "/a/",
            "/{",
            "/{}",
            "/{a",
            "/{a}b",
            "/{a=}",
            "/**/a",
            "/{a}/{a}",
            "/a:",
            "/a b",
            "/{a=**}/b",
            "/{a b}",
            "/%20",
            "/a:b/c",
        ] {
            assert_eq!(Template::parse(bad), None, "{bad}");
        }
        let shown = |template| Template::parse(template).map(|t| t.to_openapi());
        assert_eq!(shown("/v1/{name=shelves/*}/b/{rest=**}:go").as_deref(), Some("/v1/{name}/b/{rest}:go"));
    }

    #[test]
    fn the_fuzz_corpus_does_no_harm() {
        let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/route");
        let mut replayed = 0;
        for file in std::fs::read_dir(corpus).expect("the corpus is in the repository") {
            fuzz_target(&std::fs::read(file.expect("readable").path()).expect("readable"));
            replayed += 1;
        }
        assert!(replayed >= 5);
    }
}
