//! The ready file: what a script that started the server reads, once everything works.

use std::io::Write;
use std::path::Path;

/// Puts `contents` at `path`: readable by the owner alone, and either all of it or nothing.
///
/// A file that was there is replaced.
pub fn put(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A temporary file is made with mode 0600, in the same folder so that the rename does not copy.
    let mut file = tempfile::Builder::new().prefix(".maxpay-ready-").tempfile_in(folder)?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn the_ready_file_is_whole_and_private() {
        // Nobody but the owner reads it, an older one is replaced, and nothing else stays in the folder.
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let path = folder.path().join("ready.json");
        std::fs::write(&path, "old and much longer than the new one").expect("it is writable");
        put(&path, b"{}").expect("it is writable");
        assert_eq!(std::fs::read(&path).expect("it is there"), b"{}");
        assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        // A ready file that cannot be written is told, never skipped.
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        assert!(put(&folder.path().join("absent").join("ready.json"), b"{}").is_err());
    }
}
