//! `souk verify`: the checks across all services.
use crate::failure::{Failure, exit};
use crate::verify::leaks::Watch;
use crate::verify::{Facts, Finding, check, render};
use crate::{output, settings};
use clap::{Args, ValueEnum};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Check every invariant across the services' stores, read-only, while they run or not.
///
/// While the shop runs, stores are read one after the other, so a finding may be a step that is just being
/// taken: it counts only when it is still there after several looks. Exit code 3: something is broken; 69: a
/// store cannot be read. Example: souk verify --data ./souk-data --canary "12 Mill Lane" --log-file ./souk.log
#[derive(Args)]
pub struct Verify {
    /// The data folder of the shop [default: ./souk-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A text that was given to the shop as personal or secret, and must stand in clear in no store and no log
    /// (1 to 1,024 bytes); may be given several times
    #[arg(long, value_name = "TEXT")]
    canary: Vec<String>,
    /// A log or a file of traces in which no canary and no e-mail address may stand; may be given several times
    #[arg(long, value_name = "FILE")]
    log_file: Vec<PathBuf>,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    output: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// How often a finding must be seen to count.
const LOOKS: u32 = 6;
/// The wait between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(700);

impl Verify {
    /// Prints the table of checks.
    pub fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let flag = self.data.as_ref().map(|data| data.display().to_string());
        let data = settings::data_dir(&settings::load(file, &[("data.dir", flag)])?);
        let watch = Watch { canaries: self.canary, logs: self.log_file };
        let (findings, facts) = settled(&data, &watch)?;
        let broken: usize = findings.iter().map(|finding| finding.count).sum();
        match self.output {
            Format::Table => {
                output::print(&render(&findings));
                waiting(&facts).iter().for_each(|id| {
                    output::line(&format!("  waits for a person: {id} (see it with: souk saga show {id})"))
                });
                output::line(&summary(&facts));
            }
            Format::Json => output::line(
                &serde_json::json!({
                    "broken": broken,
                    "checks": findings.iter().map(shortened).collect::<Vec<_>>(),
                    "waitingForAPerson": waiting(&facts),
                    "orders": facts.orders.len(),
                    "onItsWay": facts.rest,
                })
                .to_string(),
            ),
        }
        match broken {
            0 => Ok(()),
            n => Err(Failure::new(exit::DIFFERENCES, format!("{n} violation(s) in {}", data.display()))),
        }
    }
}

/// The orders whose saga cannot go on by itself.
fn waiting(facts: &Facts) -> Vec<String> {
    let all = facts.orders.iter().filter(|(_, order)| order.needs_attention());
    all.map(|(id, _)| id.to_string()).collect()
}

fn summary(facts: &Facts) -> String {
    let count = |n: usize| output::thousands(n as u64);
    let (orders, reservations) = (count(facts.orders.len()), count(facts.reservations.len()));
    let payments = count(facts.payments.len());
    let by_hand = match facts.settled_by_hand().count() {
        0 => String::new(),
        orders => format!("; settled by hand, and for others to check: {}", count(orders)),
    };
    format!(
        "orders: {orders}, reservations: {reservations}, payments: {payments}; on its way: {}{by_hand}",
        facts.rest
    )
}

/// A finding with as many ids as are shown.
fn shortened(finding: &Finding) -> Finding {
    Finding { ids: finding.shown().to_vec(), ..finding.clone() }
}

/// Looks until a look finds nothing, or the same things have been found often enough.
fn settled(data: &Path, watch: &Watch) -> Result<(Vec<Finding>, Facts), Failure> {
    let mut standing: Option<Vec<Finding>> = None;
    for look in 1.. {
        let facts = Facts::gather_watching(data, watch)?;
        let found = check(&facts);
        let both = match standing {
            None => found,
            Some(before) => in_both(&before, found),
        };
        let is_clean = both.iter().all(|finding| finding.count == 0);
        if is_clean || look == LOOKS {
            return Ok((both, facts));
        }
        standing = Some(both);
        std::thread::sleep(BETWEEN_LOOKS);
    }
    unreachable!("the loop ends at the last look")
}

/// What the second look found again.
fn in_both(before: &[Finding], found: Vec<Finding>) -> Vec<Finding> {
    let keep = |mut finding: Finding| {
        let earlier = before.iter().find(|earlier| earlier.check == finding.check);
        let earlier: BTreeSet<&String> = earlier.into_iter().flat_map(|earlier| &earlier.ids).collect();
        finding.ids.retain(|id| earlier.contains(id));
        finding.count = finding.ids.len();
        finding
    };
    found.into_iter().map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(ids: impl IntoIterator<Item = u32>) -> Finding {
        let ids: Vec<_> = ids.into_iter().map(|id| format!("ord_{id}")).collect();
        Finding { check: "V1", rule: "a rule", asked: 1_000, count: ids.len(), ids }
    }

    #[test]
    fn what_is_only_passing_does_not_count_however_much_it_is() {
        let before = [finding(0..500)];
        assert_eq!(in_both(&before, vec![finding(400..900)]), [finding(400..500)]);
        assert_eq!(in_both(&before, vec![finding(500..900)]), [finding([])]);
    }

    #[test]
    fn few_ids_are_shown_and_all_are_counted() {
        let short = shortened(&finding(0..500));
        assert_eq!((short.count, short.ids.len()), (500, crate::verify::IDS_MAX));
    }
}
