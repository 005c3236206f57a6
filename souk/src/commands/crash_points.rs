//! `souk __crash-points`: where this program can be made to abort, for the crash laboratory.
use crate::failure::{Failure, exit};
use crate::output;
use clap::Args;
use serde_json::json;
use souk_telemetry::crash;

/// List the places where this program can be made to abort, and the marks that it sets, as JSON.
///
/// Exit code 78: it was built without them. Example: souk __crash-points
#[derive(Args)]
pub struct CrashPoints {}

impl CrashPoints {
    /// Prints the lists.
    pub fn run(self) -> Result<(), Failure> {
        if !crash::POSSIBLE {
            let message = "this program was built without crash points (feature crashpoints)";
            return Err(Failure::new(exit::CONFIGURATION, message));
        }
        let points: Vec<_> =
            crash::POINTS.iter().map(|(label, what)| json!({"label": label, "what": what})).collect();
        output::line(&json!({"points": points, "marks": crash::MARKS}).to_string());
        Ok(())
    }
}
