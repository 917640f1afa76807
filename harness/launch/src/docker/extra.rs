//! What a container may have beside what every instance has: files, kernel settings, a published port.

use std::collections::HashMap;
use std::net::SocketAddr;

use bollard::Docker;
use bollard::body_full;
use bollard::errors::Error;
use bollard::models::PortBinding;
use bollard::query_parameters::{InspectContainerOptions, UploadToContainerOptionsBuilder};

/// The port of a container on 127.0.0.1, any free one.
pub(super) fn bindings(port: u16) -> HashMap<String, Option<Vec<PortBinding>>> {
    let binding = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some("0".to_owned()) };
    HashMap::from([(key(port), Some(vec![binding]))])
}

fn key(port: u16) -> String {
    format!("{port}/tcp")
}

/// Puts files into a container that was made and not started.
pub(super) async fn upload(docker: &Docker, id: &str, files: &[(String, String)]) -> Result<(), Error> {
    if files.is_empty() {
        return Ok(());
    }
    let options = UploadToContainerOptionsBuilder::default().path("/").build();
    docker.upload_to_container(id, Some(options), body_full(archive(files)?.into())).await
}

fn archive(files: &[(String, String)]) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let path = path.trim_start_matches('/');
        let mut header = tar::Header::new_gnu();
        header.set_mtime(0);
        if let Some((folder, _)) = path.rsplit_once('/') {
            let mut header = header.clone();
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
            header.set_size(0);
            builder.append_data(&mut header, folder, std::io::empty())?;
        }
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        builder.append_data(&mut header, path, text.as_bytes())?;
    }
    builder.into_inner()
}

/// Where a container's port was published.
pub(super) async fn published(docker: &Docker, id: &str, port: u16) -> Option<SocketAddr> {
    let seen = docker.inspect_container(id, None::<InspectContainerOptions>).await.ok()?;
    let ports = seen.network_settings?.ports?;
    let binding = ports.get(&key(port))?.as_ref()?.first()?;
    let ip = binding.host_ip.as_ref()?.parse().ok()?;
    Some(SocketAddr::new(ip, binding.host_port.as_ref()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_archived_with_their_folder_and_can_be_read_by_all() {
        let bytes = archive(&[("/front/front.conf".to_owned(), "text".to_owned())]).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries: Vec<(String, u32)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap())
            })
            .collect();
        assert_eq!(entries, [("front".to_owned(), 0o755), ("front/front.conf".to_owned(), 0o644)]);
    }

    #[test]
    fn a_port_is_published_on_loopback_only() {
        let bindings = bindings(9000);
        assert_eq!(bindings["9000/tcp"].as_ref().unwrap()[0].host_ip.as_deref(), Some("127.0.0.1"));
    }
}
