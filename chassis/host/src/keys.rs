//! The house's signing key on disk: made at the first start, readable by its owner only.
use souk_identity::{KeySet, Signer, SigningKey};
use souk_kernel::Entropy;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the key cannot be used.
#[derive(Debug)]
pub enum KeyError {
    /// The file cannot be read or written.
    Io(PathBuf, std::io::Error),
    /// The file does not hold a key.
    Damaged(PathBuf),
    /// Others can read the file.
    Exposed(PathBuf),
}

impl std::fmt::Display for KeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            KeyError::Io(path, e) => {
                write!(f, "the signing key {} cannot be read or written: {e}", path.display())
            }
            KeyError::Damaged(path) => write!(
                f,
                "{} does not hold a signing key; restore it from a backup, or remove it to make a new one (every \
                 token issued so far becomes invalid)",
                path.display()
            ),
            KeyError::Exposed(path) => {
                write!(f, "{} can be read by others; run: chmod 600 {}", path.display(), path.display())
            }
        }
    }
}

impl std::error::Error for KeyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            KeyError::Io(_, e) => Some(e),
            KeyError::Damaged(_) | KeyError::Exposed(_) => None,
        }
    }
}

/// The key in `<data>/keys/signing.json`, made if there is none.
pub fn load_or_create(data: &Path, entropy: &dyn Entropy) -> Result<(Arc<Signer>, KeySet), KeyError> {
    let path = data.join("keys").join("signing.json");
    if !path.exists() {
        create(&path, entropy).map_err(|e| KeyError::Io(path.clone(), e))?;
    }
    refuse_exposed(&path)?;
    let text = std::fs::read_to_string(&path).map_err(|e| KeyError::Io(path.clone(), e))?;
    let key = SigningKey::from_bytes(text.as_bytes()).map_err(|_| KeyError::Damaged(path))?;
    let keys = KeySet::new();
    keys.add(key.public());
    Ok((Arc::new(Signer::new(key)), keys))
}

/// Written aside under a name of its own and linked into place: of several that start at once one makes the
/// key and all use it, and a crash in between leaves none.
fn create(path: &Path, entropy: &dyn Entropy) -> std::io::Result<()> {
    let folder = path.parent().expect("the path has a folder");
    std::fs::create_dir_all(folder)?;
    let mut name = [0u8; 8];
    entropy.fill(&mut name);
    let name = u64::from_le_bytes(name);
    let aside = folder.join(format!("signing.{}.{name:016x}.new", std::process::id()));
    let written = write_aside(&aside, entropy);
    let linked = written.and_then(|()| std::fs::hard_link(&aside, path));
    std::fs::remove_file(&aside)?;
    match linked {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(e),
        // The name must be as durable as the key: tokens are signed with it from now on.
        _ => std::fs::File::open(folder)?.sync_all(),
    }
}

fn write_aside(aside: &Path, entropy: &dyn Entropy) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(aside)?;
    file.write_all(&SigningKey::generate(entropy).to_bytes())?;
    file.sync_all()
}

#[cfg(unix)]
fn refuse_exposed(path: &Path) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map_err(|e| KeyError::Io(path.to_owned(), e))?.permissions().mode();
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeyError::Exposed(path.to_owned())) }
}

#[cfg(not(unix))]
fn refuse_exposed(_path: &Path) -> Result<(), KeyError> {
    Ok(())
}
