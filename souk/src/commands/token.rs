//! `souk token`: a token for somebody on the staff, or for a customer.
use crate::failure::{Failure, exit};
use crate::{output, settings};
use clap::{Args, ValueEnum};
use souk_contracts::terms::UserId;
use souk_host::Environment;
use std::path::{Path, PathBuf};

/// Print a token for staff or for a customer.
///
/// Whoever can read the data folder's signing key may do this. Example:
/// curl -H "Authorization: Bearer $(souk token --role sales)" http://127.0.0.1:8080/api/v1/orders
#[derive(Args)]
pub struct Token {
    /// What the holder may do
    #[arg(long, value_enum)]
    role: Role,
    /// The customer; without it a new one. Only with `--role customer`
    #[arg(long, value_name = "usr_…")]
    subject: Option<UserId>,
    /// How long it is valid
    #[arg(long, default_value = "8h", value_parser = ttl)]
    ttl: std::time::Duration,
    /// The data folder of the shop [default: ./souk-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Sales,
    Support,
    Admin,
    Customer,
}

/// The longest life of a staff token.
const TTL_MAX: std::time::Duration = std::time::Duration::from_secs(30 * 86_400);

fn ttl(text: &str) -> Result<std::time::Duration, String> {
    let ttl = souk_host::parse_duration(text).ok_or("must be a duration like 30m or 8h")?;
    if ttl.is_zero() || ttl > TTL_MAX { Err("must be between 1ms and 30d".to_owned()) } else { Ok(ttl) }
}

impl Token {
    /// Prints the token.
    pub fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let flag = self.data.as_ref().map(|data| data.display().to_string());
        let data = settings::data_dir(&settings::load(file, &[("data.dir", flag)])?);
        if !data.join("keys").join("signing.json").exists() {
            let message = format!(
                "{} holds no shop yet; start one with `souk up` or name its folder with --data",
                data.display()
            );
            return Err(Failure::new(exit::UNAVAILABLE, message));
        }
        let role = match self.role {
            Role::Customer => {
                output::line(&customer(&data, self.subject, self.ttl)?);
                return Ok(());
            }
            Role::Sales => souk_user::Role::Sales,
            Role::Support => souk_user::Role::Support,
            Role::Admin => souk_user::Role::Admin,
        };
        if self.subject.is_some() {
            let message =
                "--subject goes with --role customer; each token for staff has a subject of its own";
            return Err(Failure::new(exit::USAGE, message.to_owned()));
        }
        output::line(&staff(&data, role, self.ttl)?);
        Ok(())
    }
}

/// A token for this customer, or for a new one, signed with the key in the data folder.
fn customer(data: &Path, id: Option<UserId>, ttl: std::time::Duration) -> Result<String, Failure> {
    let environment = Environment::system();
    let (signer, _) =
        souk_host::signing_keys(data, environment.entropy.as_ref()).map_err(souk_host::StartError::Key)?;
    let ids = environment.ids();
    let id = id.unwrap_or_else(|| ids.new_id());
    Ok(souk_user::customer_token(&signer, environment.clock.as_ref(), &ids, id, ttl))
}

/// A token for a member of the staff with this role, signed with the key in the data folder.
pub fn staff(data: &Path, role: souk_user::Role, ttl: std::time::Duration) -> Result<String, Failure> {
    let environment = Environment::system();
    let (signer, _) =
        souk_host::signing_keys(data, environment.entropy.as_ref()).map_err(souk_host::StartError::Key)?;
    Ok(souk_user::staff_token(&signer, environment.clock.as_ref(), &environment.ids(), role, ttl))
}
