//! nginx as a plain proxy: keep-alive on both sides, no log, no disk. The yardstick should be at its best.
use crate::parts::Setting;
use crate::report::{NoResult, Outcome};
use crate::rest::{Ask, Caller};
use crate::shop;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// Where systems put it beside the search path.
const ELSEWHERE: &[&str] = &["/usr/sbin", "/usr/local/sbin", "/sbin"];
const START_MAX: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The program that was named, or the system's.
pub fn find(setting: &Setting) -> Outcome<PathBuf> {
    if let Some(named) = &setting.nginx {
        return named.canonicalize().map_err(|e| NoResult::failed("the named nginx", e));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(ELSEWHERE.iter().map(PathBuf::from));
    let found = folders.map(|folder| folder.join("nginx")).find(|program| program.is_file());
    found.ok_or_else(|| NoResult::Skipped("nginx is not installed (apt-get install nginx-light)".to_owned()))
}

/// nginx at work. A master that is killed leaves its workers behind, so it is told to end, whatever happens here.
pub struct Nginx {
    child: Child,
    address: SocketAddr,
}

impl Nginx {
    /// Starts it before this upstream, with everything that it writes in `folder`.
    pub async fn start(program: &Path, folder: &Path, upstream: SocketAddr) -> Outcome<Self> {
        let address = shop::free_address()?;
        let file = folder.join("nginx.conf");
        let failed = |e: std::io::Error| NoResult::failed("nginx cannot be started", e);
        std::fs::write(&file, configuration(folder, address, upstream)).map_err(failed)?;
        let log = folder.join("error.log");
        let mut command = Command::new(program);
        command.arg("-p").arg(folder).arg("-c").arg(&file).arg("-e").arg(&log);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(failed)?;
        let mut nginx = Self { child, address };
        nginx.wait_until_ready(&log).await?;
        Ok(nginx)
    }

    async fn wait_until_ready(&mut self, log: &Path) -> Outcome<()> {
        let started = Instant::now();
        let mut caller = Caller::new(self.address);
        while started.elapsed() < START_MAX {
            if matches!(caller.ask(&Ask::get("/")).await, Ok((200, _))) {
                return Ok(());
            }
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let said = std::fs::read_to_string(log).unwrap_or_default();
        Err(NoResult::failed("nginx does not answer", said.lines().last().unwrap_or("it says nothing")))
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The master process.
    pub fn id(&self) -> Outcome<u32> {
        self.child.id().ok_or_else(|| NoResult::Failed("nginx has ended".to_owned()))
    }

    /// Ends it and waits until it has ended.
    pub async fn stop(mut self) {
        self.tell();
        let _ = tokio::time::timeout(START_MAX, self.child.wait()).await;
    }

    fn tell(&self) {
        if let Some(id) = self.child.id() {
            let _ = std::process::Command::new("kill").arg(id.to_string()).status();
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.tell();
    }
}

/// As many workers as cores, as our gateway has threads. Answers fit into its buffers, so that no answer goes
/// over a file.
fn configuration(folder: &Path, address: SocketAddr, upstream: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  default_type application/json;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000;
  tcp_nodelay on;
  proxy_buffer_size 16k;
  proxy_buffers 16 16k;
  proxy_busy_buffers_size 128k;
  proxy_max_temp_file_size 0;
  upstream bench {{ server {upstream}; keepalive 128; keepalive_requests 100000000; }}
  server {{
    listen {address};
    location / {{
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
    }}
  }}
}}
"
    )
}
