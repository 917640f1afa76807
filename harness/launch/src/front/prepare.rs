//! Finding the program of a front, and packing it for containers.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::super::prepared::{ImageToRun, Program, ProxyProgram};
use super::super::{LaunchError, Launcher, Missing};
use super::proxy::Proxy;
use super::proxy_of;
use super::relay::{self, Relay};
use wsceiling_model::matrix::{Front, Runtime, Spread};

/// Longest wait for a program to say its version.
const VERSION_WITHIN: Duration = Duration::from_secs(5);
/// Where Debian puts proxies, which is not on the PATH of every user.
const BESIDE_PATH: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

impl Launcher {
    /// Finds the programs of a front and packs them for containers; what is done once is not done again.
    ///
    /// # Errors
    /// When a program is not there, or there is no engine to run it in.
    pub async fn prepare_front(&mut self, front: &Front, runtime: Runtime) -> Result<(), LaunchError> {
        let Some(proxy) = proxy_of(front.kind) else { return Ok(()) };
        self.prepare_program_of(front, proxy, runtime).await?;
        if front.spread == Spread::OneAddress {
            self.prepare_program_of(&relay::balancer(front), &Relay, runtime).await?;
        }
        Ok(())
    }

    async fn prepare_program_of(
        &mut self,
        front: &Front,
        proxy: &dyn Proxy,
        runtime: Runtime,
    ) -> Result<(), LaunchError> {
        let key = key(front);
        let packed = self.fronts.get(&key).is_some_and(|prepared| prepared.image.is_some());
        if self.fronts.contains_key(&key) && (packed || runtime == Runtime::Bare) {
            return Ok(());
        }
        if !self.fronts.contains_key(&key) {
            let path = find(front, proxy, &self.folder)?;
            let program = tokio::task::spawn_blocking(move || Program::at(path)).await;
            let program = program.map_err(|error| LaunchError::failed(error.to_string()))??;
            let version = version(proxy, &program.path).await;
            self.fronts.insert(key.clone(), ProxyProgram { program, version, image: None });
        }
        if runtime == Runtime::Docker {
            let image = self.pack_front(front, &key).await?;
            if let Some(prepared) = self.fronts.get_mut(&key) {
                prepared.image = Some(image);
            }
        }
        Ok(())
    }

    async fn pack_front(&mut self, front: &Front, key: &str) -> Result<ImageToRun, LaunchError> {
        let path = self.fronts.get(key).map(|prepared| prepared.program.path.clone()).unwrap_or_default();
        let image = self.pack(&format!("front-{}", front.kind), &path, &[], Path::new("/")).await?;
        Ok(ImageToRun { tmp: true, ..image })
    }

    /// What [`Self::prepare_front`] found for a hop.
    pub(super) fn prepared(&self, front: &Front) -> Option<&ProxyProgram> {
        self.fronts.get(&key(front))
    }
}

/// Fronts of one kind and program share what is prepared.
fn key(front: &Front) -> String {
    format!("{} {}", front.kind, front.program.as_deref().unwrap_or_default())
}

fn find(front: &Front, proxy: &dyn Proxy, folder: &Path) -> Result<PathBuf, LaunchError> {
    let Some((own_name, install)) = proxy.program() else {
        return std::env::current_exe()
            .map_err(|error| LaunchError::failed(format!("cannot find the harness's own program: {error}")));
    };
    let name = front.program.as_deref().unwrap_or(own_name);
    if name.contains('/') {
        let path = std::path::absolute(folder.join(name)).unwrap_or_else(|_| folder.join(name));
        return if path.is_file() {
            Ok(path)
        } else {
            Err(Missing::ProxyFile { path, front: front.name.clone() }.into())
        };
    }
    let beside = std::env::join_paths(BESIDE_PATH).ok();
    let found = which::which(name).ok().or_else(|| which::which_in(name, beside, folder).ok());
    found.ok_or_else(|| Missing::Proxy { program: name.to_owned(), usual: own_name, install }.into())
}

/// The first line that the program says of its version, on whichever output.
async fn version(proxy: &dyn Proxy, path: &Path) -> Option<String> {
    if proxy.program().is_none() {
        return Some(format!("wsceiling {}", env!("CARGO_PKG_VERSION")));
    }
    let asked = tokio::process::Command::new(path)
        .arg(proxy.version_argument())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(VERSION_WITHIN, asked).await.ok()?.ok()?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let line = said.iter().flat_map(|text| text.lines()).find(|line| !line.trim().is_empty())?;
    Some(line.trim().chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::super::nginx::Nginx;
    use super::*;
    use wsceiling_model::matrix::FrontKind;

    #[test]
    fn a_proxy_that_is_not_there_is_named_with_the_package_that_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let missing = |program: &str| {
            let front = Front { program: Some(program.to_owned()), ..Front::new("edge", FrontKind::Nginx) };
            match find(&front, &Nginx, folder.path()) {
                Err(LaunchError::Missing(missing)) => (missing.to_string(), missing.hint()),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(missing("nginx-of-nobody").0, "nginx-of-nobody is not on PATH");
        assert!(missing("./nginx").0.ends_with("/nginx of front `edge` is not there"));
        assert!(missing("nginx-of-nobody").1.contains("leave `program` out"));
    }
}
