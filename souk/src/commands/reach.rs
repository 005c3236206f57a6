//! How a command finds the shop it works on: one that runs, or one that it runs itself meanwhile.
use super::token;
use super::up::Local;
use crate::failure::{Failure, exit};
use crate::rest::{Rest, RestError};
use crate::{output, settings};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a command's token lives; no import takes longer.
const TOKEN_TTL: Duration = Duration::from_secs(4 * 3_600);

/// Where the shop is.
#[derive(Args)]
pub struct Place {
    /// The address of the shop [default: http:// and the configured gateway.listen]
    #[arg(long, value_name = "URL", value_parser = url)]
    url: Option<String>,
    /// The data folder of the shop; an import starts the shop from it when none listens [default: ./souk-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

fn url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("http://").ok_or("must begin with http://")?;
    let host = host.trim_end_matches('/');
    if host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) {
        return Err("must be an address such as http://127.0.0.1:8080, without a path".to_owned());
    }
    Ok(format!("http://{host}"))
}

/// A shop that answers, and who calls it.
pub struct Reached {
    /// The caller, a member of the staff.
    pub rest: Rest,
    local: Option<Local>,
}

impl Place {
    /// Finds the shop. When none answers on this machine and nobody uses its data, it is started here.
    pub async fn reach(&self, file: Option<&Path>) -> Result<Reached, Failure> {
        let (url, data) = self.resolve(file)?;
        match listening(&url).await {
            Ok(anybody) => Ok(Reached { rest: anybody.with_token(&staff_token(&data)?), local: None }),
            Err(error @ RestError::Unreachable { .. }) if is_this_machine(&url) => start(&data, &error).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Finds the shop if it answers; none is started.
    pub async fn find(&self, file: Option<&Path>) -> Result<Rest, Failure> {
        let (url, data) = self.resolve(file)?;
        let anybody = listening(&url).await?;
        Ok(anybody.with_token(&staff_token(&data)?))
    }

    /// An administrator of the shop, whether it answers or not.
    pub fn administrator(&self, file: Option<&Path>) -> Result<Rest, Failure> {
        let (url, data) = self.resolve(file)?;
        Ok(Rest::new(&url, Some(token_of(&data, souk_user::Role::Admin)?)))
    }

    /// The address and the data folder.
    fn resolve(&self, file: Option<&Path>) -> Result<(String, PathBuf), Failure> {
        let flag = self.data.as_ref().map(|data| data.display().to_string());
        let config = settings::load(file, &[("data.dir", flag)])?;
        let url = self.url.clone().unwrap_or_else(|| format!("http://{}", config.address("gateway.listen")));
        Ok((url, settings::data_dir(&config)))
    }
}

/// A caller from the sales staff of a shop whose signing key is in `data`.
pub fn staff(url: &str, data: &Path) -> Result<Rest, Failure> {
    Ok(Rest::new(url, Some(staff_token(data)?)))
}

async fn listening(url: &str) -> Result<Rest, RestError> {
    let anybody = Rest::new(url, None);
    anybody.get("/api/v1/categories").await?;
    Ok(anybody)
}

async fn start(data: &Path, error: &RestError) -> Result<Reached, Failure> {
    let local = Local::start(data).await.map_err(|failure| not_started(error, failure))?;
    match staff(&local.url(), data) {
        Ok(rest) => {
            output::note(&format!("{error}; the shop in {} runs in this process meanwhile", data.display()));
            Ok(Reached { rest, local: Some(local) })
        }
        Err(failure) => {
            local.stop().await;
            Err(failure)
        }
    }
}

/// A locked folder is most often that of a shop which runs and listens elsewhere.
fn not_started(error: &RestError, failure: Failure) -> Failure {
    let advice = match failure.code {
        exit::TRY_AGAIN => "; if that is the shop, name the address at which it listens with --url",
        _ => "",
    };
    let message = format!("{error}; and the shop cannot be started here: {failure}{advice}");
    Failure { message, ..failure }
}

fn staff_token(data: &Path) -> Result<String, Failure> {
    token_of(data, souk_user::Role::Sales)
}

fn token_of(data: &Path, role: souk_user::Role) -> Result<String, Failure> {
    if !data.join("keys").join("signing.json").exists() {
        let what = format!("{} holds no key of the shop; name the shop's folder with --data", data.display());
        return Err(Failure::new(exit::UNAVAILABLE, what));
    }
    token::staff(data, role, TOKEN_TTL)
}

fn is_this_machine(url: &str) -> bool {
    let authority = url.trim_start_matches("http://");
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    matches!(host, "localhost" | "[::1]" | "0.0.0.0" | "[::]") || host.starts_with("127.")
}

impl Reached {
    /// Closes the shop if it ran here only for this command.
    pub async fn leave(self) {
        if let Some(local) = self.local {
            local.stop().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_a_shop_are_taken() {
        assert_eq!(url("http://127.0.0.1:8080/"), Ok("http://127.0.0.1:8080".to_owned()));
        for bad in ["127.0.0.1:8080", "https://shop", "http://", "http://a/b", "http://u@h", "http://a b"] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_shop_that_does_not_run_is_run_meanwhile() {
        let folder = tempfile::tempdir().expect("a folder");
        // Nothing listens on port 1, and nothing could without being root.
        let place =
            Place { url: Some("http://127.0.0.1:1".to_owned()), data: Some(folder.path().to_owned()) };
        let reached = place.reach(None).await.expect("the folder is free");
        assert_ne!(reached.rest.url(), "http://127.0.0.1:1");
        let movements = reached.rest.get("/api/v1/stock/any/movements").await;
        movements.expect("the caller is staff of that shop");
        reached.leave().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_shop_that_listens_elsewhere_is_asked_for_by_its_address() {
        let folder = tempfile::tempdir().expect("a folder");
        let runs = Local::start(folder.path()).await.expect("the folder is free");
        let place = |url: &str| Place { url: Some(url.to_owned()), data: Some(folder.path().to_owned()) };
        let Err(failure) = place("http://127.0.0.1:1").reach(None).await else { panic!("it is locked") };
        assert_eq!(failure.code, exit::TRY_AGAIN);
        assert!(failure.message.ends_with("with --url"), "{failure}");
        let found = place(&runs.url()).find(None).await.expect("it listens there");
        assert_eq!(found.url(), runs.url());
        runs.stop().await;
        let Err(failure) = place("http://127.0.0.1:1").find(None).await else { panic!("none is started") };
        assert_eq!(failure.code, exit::UNAVAILABLE);
    }

    #[test]
    fn a_shop_is_started_for_this_machine_only() {
        for here in ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:9000", "http://127.1.2.3"] {
            assert!(is_this_machine(here), "{here}");
        }
        for elsewhere in ["http://shop.example:8080", "http://10.0.0.1", "http://localhost.example"] {
            assert!(!is_this_machine(elsewhere), "{elsewhere}");
        }
    }
}
