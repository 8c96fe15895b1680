//! OpenSSL's command line, in a folder of its own.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// OpenSSL at work.
pub(super) struct OpenSsl {
    program: PathBuf,
    folder: TempDir,
}

impl OpenSsl {
    pub fn new() -> Self {
        let program = super::find("openssl").expect("missing: run .ci/run, or apt-get install openssl");
        Self { program, folder: tempfile::tempdir().expect("a folder") }
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join(name), bytes).expect("it is written");
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("text")
    }

    /// Runs these words, parted at blanks; gives what was printed, or why it failed.
    pub fn run(&self, words: &str) -> Result<String, String> {
        self.run_with(words, &[])
    }

    /// The same with further words that may hold blanks.
    pub fn run_with(&self, words: &str, more: &[&str]) -> Result<String, String> {
        let told = Command::new(&self.program)
            .current_dir(self.folder.path())
            .args(words.split(' '))
            .args(more)
            .output()
            .expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if told.status.success() { Ok(text(&told.stdout)) } else { Err(text(&told.stderr)) }
    }

    /// Runs these words, which must not fail.
    pub fn must(&self, words: &str) -> String {
        self.run(words).unwrap_or_else(|error| panic!("openssl {words}: {error}"))
    }

    /// A key, and a certificate of that name for it: `name.key`, `name.pem`. It is signed by `issuer`'s, or by itself.
    pub fn certify(&self, name: &str, subject: &str, serial: &str, issuer: Option<&str>, authority: bool) {
        self.must(&format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {name}.key"));
        self.run_with(&format!("req -new -utf8 -key {name}.key -out {name}.csr -subj"), &[subject]).expect("a request");
        let kind = if authority { "CA:TRUE" } else { "CA:FALSE" };
        self.write("extensions", format!("basicConstraints=critical,{kind}\n"));
        let signer = match issuer {
            Some(issuer) => format!("-CA {issuer}.pem -CAkey {issuer}.key"),
            None => format!("-signkey {name}.key"),
        };
        let what = format!("x509 -req -sha256 -in {name}.csr {signer} -set_serial {serial} -days 30");
        self.must(&format!("{what} -extfile extensions -out {name}.pem"));
    }
}
