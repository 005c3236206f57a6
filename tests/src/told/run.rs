//! Carries a story out.
use super::face::{Face, Said};
use super::golden::{Names, signed, updated};
use super::grpc::Contracts;
use super::shell::Command;
use super::story::{Golden, Patience, Step, Story};
use super::tree::Tree;
use crate::House;
use souk_user::Role;
use std::time::Duration;

/// How often an answer is looked at that comes by itself, and what passes in between: half a minute in all.
const LOOKS_MAX: u32 = 1_500;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
/// In how many steps time passes, when it does. The next step waits until what was due is done.
const STEPS_OF_TIME: u32 = 60;
/// How often is looked, beyond the steps of time, when the answer is to be written and may be another.
const LOOKS_UPDATING: u32 = 250;

/// Carries out what a story tells. What is answered otherwise than it shows is the error, with file and line.
pub async fn tell(house: &House, story: &Story) -> Result<(), String> {
    carry_out(house, story, Face::Rest, false).await.map(|_| ())
}

/// As [`tell`], with each command as a gRPC call to the service itself. The house must be apart.
pub async fn tell_by_grpc(house: &House, story: &Story) -> Result<(), String> {
    let face = Face::Grpc(Box::new(Contracts::read()));
    carry_out(house, story, face, false).await.map(|_| ())
}

/// Carries out what a story tells, whatever is answered; the story as it is then.
pub async fn retell(house: &House, story: &Story) -> Result<String, String> {
    Ok(story.rewritten(carry_out(house, story, Face::Rest, true).await?))
}

/// The answers, when they are to be written.
async fn carry_out(
    house: &House,
    story: &Story,
    face: Face,
    updates: bool,
) -> Result<Vec<(Golden, u16, Tree)>, String> {
    let customer = house.customer().token().to_owned();
    let names = Names::from([("CUSTOMER".to_owned(), customer)]);
    let mut telling = Telling { house, story, face, names, updates };
    let mut answers = Vec::new();
    for step in &story.steps {
        match step {
            Step::Passes(time) => telling.passes(*time).await,
            Step::Does { commands, patience, golden } => {
                let (last, before) = commands.split_last().expect("a block has a command");
                for command in before {
                    telling.succeeds(command).await?;
                }
                match golden {
                    None => telling.succeeds(last).await?,
                    Some(golden) => {
                        let answer = telling.asks(last, *patience, golden).await?;
                        answers.push((golden.clone(), answer.0, answer.1));
                    }
                }
            }
        }
    }
    Ok(answers)
}

struct Telling<'a> {
    house: &'a House,
    story: &'a Story,
    face: Face,
    names: Names,
    updates: bool,
}

impl Telling<'_> {
    fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.story.name)
    }

    /// So much later, as a reader finds the shop then: what was due meanwhile is done.
    async fn passes(&self, time: Duration) {
        self.house.advance(time);
        let mut looks = LOOKS_MAX;
        while looks > 0 && self.house.is_behind() {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            looks -= 1;
        }
    }

    /// A command whose answer is not shown must succeed.
    async fn succeeds(&mut self, command: &Command) -> Result<(), String> {
        let said = self.does(command).await?;
        if said.is_good() {
            return Ok(());
        }
        let status = said.status_or(0);
        Err(self.at(command.line, &format!("answered {status} {}", said.tree)))
    }

    /// Until the answer is as it is shown; what is to be shown of it.
    async fn asks(
        &mut self,
        command: &Command,
        patience: Patience,
        golden: &Golden,
    ) -> Result<(u16, Tree), String> {
        let step = match patience {
            Patience::Now | Patience::Soon => Duration::ZERO,
            Patience::Within(time) => time / STEPS_OF_TIME,
        };
        let mut looks = match patience {
            Patience::Now => 1,
            Patience::Soon | Patience::Within(_) if self.updates => LOOKS_UPDATING,
            Patience::Soon | Patience::Within(_) => LOOKS_MAX,
        };
        let mut steps = if step.is_zero() { 0 } else { STEPS_OF_TIME };
        loop {
            let said = self.does(command).await?;
            let status = said.status_or(golden.status);
            let mut names = self.names.clone();
            let found = said.differs(golden, &mut names);
            if found.is_empty() {
                self.names = names;
                return Ok((status, golden.shown.clone().unwrap_or(Tree::Null)));
            }
            looks -= 1;
            if looks == 0 && self.updates {
                return Ok((status, self.written(golden, &said.tree)));
            }
            if looks == 0 {
                let found = found.join("\n  ");
                let whole = said.tree.pretty();
                return Err(self.at(golden.line, &format!("the answer differs\n  {found}\n{whole}")));
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
            if steps > 0 && !self.house.is_behind() {
                self.house.advance(step);
                (steps, looks) = (steps - 1, looks + 1);
            }
        }
    }

    /// What is shown of an answer from now on. Its names are noted.
    fn written(&mut self, golden: &Golden, answered: &Tree) -> Tree {
        match &golden.shown {
            Some(shown) => updated(shown, answered, &mut self.names),
            None => signed(answered, &self.names),
        }
    }

    async fn does(&mut self, command: &Command) -> Result<Said, String> {
        self.knows_staff();
        let done = self.face.does(self.house, command, &self.names).await;
        done.map_err(|what| self.at(command.line, &what))
    }

    /// Tokens of staff are fresh, whatever time has passed.
    fn knows_staff(&mut self) {
        for (name, role) in [("SALES", Role::Sales), ("SUPPORT", Role::Support), ("ADMIN", Role::Admin)] {
            self.names.insert(name.to_owned(), self.house.staff(role).token().to_owned());
        }
    }
}
