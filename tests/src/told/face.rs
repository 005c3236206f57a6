//! The protocols that a story can be told by.
use super::golden::{Names, differences};
use super::grpc::Contracts;
use super::shell::Command;
use super::story::Golden;
use super::tree::Tree;
use crate::House;

/// The fields of a refusal that are the same by whatever protocol it comes.
const OF_EVERY_PROTOCOL: [&str; 3] = ["reason", "detail", "metadata"];

/// How commands reach the shop.
pub enum Face {
    /// As they stand: HTTP, through the gateway.
    Rest,
    /// gRPC, to the service itself.
    Grpc(Box<Contracts>),
}

/// What was answered.
pub struct Said {
    status: Status,
    pub tree: Tree,
}

/// How it went.
enum Status {
    Http(u16),
    /// gRPC has no statuses of HTTP.
    Good,
    Refused,
}

impl Said {
    pub fn good(tree: Tree) -> Self {
        Self { status: Status::Good, tree }
    }

    pub fn refused(tree: Tree) -> Self {
        Self { status: Status::Refused, tree }
    }

    pub fn is_good(&self) -> bool {
        match self.status {
            Status::Http(status) => (200..300).contains(&status),
            Status::Good => true,
            Status::Refused => false,
        }
    }

    /// The status to write for it; `otherwise` where it has none of HTTP.
    pub fn status_or(&self, otherwise: u16) -> u16 {
        match self.status {
            Status::Http(status) => status,
            Status::Good | Status::Refused => otherwise,
        }
    }

    /// How it differs from what is shown.
    pub fn differs(&self, golden: &Golden, names: &mut Names) -> Vec<String> {
        let mut found = Vec::new();
        let shown_good = (200..300).contains(&golden.status);
        match self.status {
            Status::Http(status) if status == golden.status => {}
            Status::Good if shown_good => {}
            Status::Refused if !shown_good => {}
            Status::Http(status) => {
                found.push(format!("status: shown as {}, answered {status}", golden.status));
            }
            Status::Good => found.push(format!("status: shown as {}, done", golden.status)),
            Status::Refused => found.push(format!("status: shown as {}, refused", golden.status)),
        }
        match (&golden.shown, &self.status) {
            (None, _) => found.push("no answer is shown yet: UPDATE_GOLDEN=1 writes it".to_owned()),
            (Some(Tree::Object(fields)), Status::Refused) => {
                let common = fields.iter().filter(|(name, _)| OF_EVERY_PROTOCOL.contains(&name.as_str()));
                found.extend(differences(&Tree::Object(common.cloned().collect()), &self.tree, names));
            }
            (Some(shown), _) => found.extend(differences(shown, &self.tree, names)),
        }
        found
    }
}

impl Face {
    /// Does what a command says.
    pub async fn does(&self, house: &House, command: &Command, names: &Names) -> Result<Said, String> {
        let path = command.path.said(names)?;
        let said = |(name, value): &(String, super::shell::Word)| Ok((name.clone(), value.said(names)?));
        let headers = command.headers.iter().map(said).collect::<Result<Vec<_>, String>>()?;
        let body = command.body.as_ref().map(|body| body.said(names)).transpose()?;
        if let Face::Grpc(contracts) = self {
            let asked = contracts.asks(house, &command.method, &path, &headers, body.as_deref());
            if let Some(said) = asked.await? {
                return Ok(said);
            }
        }
        let nobody = house.nobody();
        let mut call = nobody.call(command.method.clone(), &path);
        for (name, value) in &headers {
            call = call.header(name, value);
        }
        if let Some(body) = body {
            call = call.body(body);
        }
        let answer = call.send().await;
        let text = answer.text();
        let tree = Tree::parse(&text).map_err(|error| format!("{error} in {text}"))?;
        Ok(Said { status: Status::Http(answer.status), tree })
    }
}
