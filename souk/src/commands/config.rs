//! `souk config`: what is in force, and why.
use crate::failure::Failure;
use crate::{output, settings};
use clap::{Args, ValueEnum};
use std::path::Path;

/// Show the effective configuration and where each value comes from.
///
/// Flags win over environment variables, those over the file, the file over defaults.
/// Example: SOUK_GATEWAY__LISTEN=127.0.0.1:9000 souk config
#[derive(Args)]
pub struct Show {
    /// How to print it
    #[arg(long, value_enum, default_value = "table")]
    output: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Json,
}

impl Show {
    /// Prints the table.
    pub fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let config = settings::load(file, &[])?;
        let rows = config.rows();
        match self.output {
            Format::Table => {
                let rows: Vec<_> = rows
                    .iter()
                    .map(|(key, value, source)| {
                        vec![key.name.into(), value.clone(), source.to_string(), key.help.into()]
                    })
                    .collect();
                output::print(&output::table(&["option", "value", "from", "what it is"], &rows));
            }
            Format::Json => {
                let rows: Vec<_> = rows.iter().map(|(key, value, source)| serde_json::json!({"option": key.name, "value": value, "from": source.to_string(), "help": key.help})).collect();
                output::line(&serde_json::Value::from(rows).to_string());
            }
        }
        Ok(())
    }
}
