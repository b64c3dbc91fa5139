//! A guest's kernel profile: made of its kernel, and kept beside its manifest.

use std::fs;
use std::io;
use std::path::Path;

use files::FileDigest;
use kernel::{Kernel, MAX_GIVEN, given};
use kernel_profile::{FILE, Profile};

use crate::error::GuestError;
use crate::guest::Guest;
use crate::manifest::{GuestManifest, MANIFEST};

impl Guest {
    /// The profile of the guest's kernel. One that is not there is made, and kept if the guest can be changed.
    pub fn profile(&self) -> Result<Profile, GuestError> {
        if self.manifest.files.contains_key(FILE)
            // One of another pandacap is made again.
            && let Ok(profile) = read_profile(&self.folder.join(FILE))
        {
            return Ok(profile);
        }
        let profile = self.read_kernel()?.profile().map_err(|source| self.untold(source))?;
        if let Err(error) = self.keep_profile(&profile) {
            log::info!("cannot keep the kernel profile of {}: {}", self.name, files::chain(&error));
        }
        Ok(profile)
    }

    /// The guest's kernel, read from its file.
    pub fn read_kernel(&self) -> Result<Kernel, GuestError> {
        let path = self.kernel().ok_or_else(|| GuestError::NoKernel(self.name.clone()))?;
        Kernel::open(&path).map_err(|source| self.untold(source))
    }

    /// Keeps a profile beside the manifest. Whoever else makes one at the same time writes the same.
    pub fn keep_profile(&self, profile: &Profile) -> Result<(), GuestError> {
        let files = |source| GuestError::Files { folder: self.folder.clone(), source };
        let write = |manifest: &GuestManifest| {
            files::replace(&self.folder.join(MANIFEST), &serde_json::to_vec_pretty(manifest)?)
        };
        let (path, mut manifest) = (self.folder.join(FILE), self.manifest.clone());
        let text = profile.to_json().map_err(|error| files(error.into()))?;
        // Whenever this is cut short, the files are those of the manifest.
        if manifest.files.remove(FILE).is_some() {
            write(&manifest).map_err(files)?;
        }
        files::replace(&path, &text).map_err(files)?;
        manifest.files.insert(FILE.to_owned(), FileDigest::of(&path).map_err(files)?);
        write(&manifest).map_err(files)
    }

    fn untold(&self, source: kernel::KernelError) -> GuestError {
        GuestError::Kernel { name: self.name.clone(), source: Box::new(source) }
    }
}

/// Makes the profile of a guest in the making. A kernel that does not tell enough is no reason not to make the guest.
pub(crate) fn make_in(folder: &Path, kernel: &str) -> io::Result<()> {
    match Kernel::open(&folder.join(kernel)).and_then(|kernel| kernel.profile()) {
        Ok(profile) => fs::write(folder.join(FILE), profile.to_json()?),
        Err(error) => {
            log::info!("there is no kernel profile: {}", files::chain(&error));
            Ok(())
        }
    }
}

/// Reads a profile from a file, which need not be trusted: one of ours, or Volatility's ISF.
pub fn read_profile(path: &Path) -> Result<Profile, GuestError> {
    let text = files::open(path).and_then(|file| files::read_up_to(file, MAX_GIVEN));
    let text = text.map_err(|source| GuestError::ProfileFile { path: path.to_owned(), source })?;
    given(&text).map_err(|source| GuestError::Profile { path: path.to_owned(), source })
}
