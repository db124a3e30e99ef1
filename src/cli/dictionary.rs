//! `--dictionary`: the strings that a sender of binary bodies names by numbers of its own.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use crate::config;
use crate::decoder::Dictionary;

#[derive(Debug, Args)]
pub(super) struct Strings {
    /// The strings that binary bodies name by number, where the sender has a dictionary of its own: one a line, the
    /// first is number 0
    #[arg(long, value_name = "FILE")]
    dictionary: Option<PathBuf>,
}

impl Strings {
    /// Reads the file, where one is named.
    pub(super) fn read(&self) -> Result<Option<Dictionary>, Failure> {
        let Some(file) = &self.dictionary else {
            return Ok(None);
        };
        config::dictionary(file).map(Some).map_err(|error| {
            let what = format!("read the strings in {}", file.display());
            Failure::new(Exit::NoInput, &what, &error)
        })
    }
}
