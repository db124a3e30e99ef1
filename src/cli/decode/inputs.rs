//! The files that arguments name: themselves, what is in a directory, what a pattern fits.

use std::iter;
use std::path::{Path, PathBuf};

use glob::{GlobError, GlobResult, MatchOptions, Pattern, PatternError};
use walkdir::{DirEntry, WalkDir};

/// As shells read patterns: `*` and `?` fit no hidden file.
const AS_SHELLS_DO: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// What an argument names.
#[derive(Debug)]
pub(super) enum Input {
    /// Standard input, or one file, which may not be there.
    File(PathBuf),
    /// All files of a directory and of those in it.
    Directory(PathBuf),
    /// Whatever has a name that it fits.
    Pattern(String),
}

/// Why there is no file where one was looked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    /// A directory holds nothing.
    #[error("no file is in this directory")]
    Empty,
    /// A pattern fits nothing.
    #[error("no file has a name like this")]
    Unmatched,
    /// A pattern is none.
    #[error("no pattern of file names: {0}")]
    Pattern(#[from] PatternError),
    /// A directory is not to be read, or leads back to itself.
    #[error("cannot be read: {0}")]
    Unreadable(String),
}

/// A file to decode, or what was to be one and why it is none.
pub(super) type Found = Result<PathBuf, (PathBuf, InputError)>;

type Files = Box<dyn Iterator<Item = Found>>;

impl Input {
    /// Looks at what there is: a file with a star in its name is that file.
    pub(super) fn new(argument: PathBuf) -> Self {
        if argument == Path::new("-") {
            return Self::File(argument);
        }
        if argument.is_dir() {
            return Self::Directory(argument);
        }
        let is_there = argument.symlink_metadata().is_ok();
        match argument.to_str().filter(|_| !is_there) {
            Some(text) if text.contains(['*', '?', '[']) => Self::Pattern(text.to_owned()),
            _ => Self::File(argument),
        }
    }

    /// True where it can be more than one file.
    pub(super) fn is_several(&self) -> bool {
        !matches!(self, Self::File(_))
    }

    /// The files in the order of their names, found one by one; an error where there are none.
    pub(super) fn files(self) -> Files {
        match self {
            Self::File(path) => Box::new(iter::once(Ok(path))),
            Self::Directory(path) => or(within(&path), (path, InputError::Empty)),
            Self::Pattern(pattern) => match fitting(&pattern) {
                Err(error) => Box::new(iter::once(Err((pattern.into(), error.into())))),
                Ok(files) => or(files, (pattern.into(), InputError::Unmatched)),
            },
        }
    }
}

/// What is found, or `nothing` where that is nothing.
fn or(files: Files, nothing: (PathBuf, InputError)) -> Files {
    let mut files = files.peekable();
    match files.peek() {
        Some(_) => Box::new(files),
        None => Box::new(iter::once(Err(nothing))),
    }
}

/// The files that a pattern fits, and those in the directories that it fits, each of them once.
fn fitting(pattern: &str) -> Result<Files, PatternError> {
    let Some((above, below)) = recursive(pattern) else {
        let paths = glob::glob_with(pattern, AS_SHELLS_DO)?;
        return Ok(Box::new(paths.flat_map(matched)));
    };
    let below = Pattern::new(below.trim_end_matches('/'))?;
    if above.is_empty() {
        return Ok(beneath(PathBuf::from("."), below));
    }
    let roots = glob::glob_with(above, AS_SHELLS_DO)?;
    let files = roots.flat_map(move |root| match root {
        Ok(root) if root.is_dir() => beneath(root, below.clone()),
        Ok(_) => Box::new(iter::empty()),
        Err(error) => unreadable(&error),
    });
    Ok(Box::new(files))
}

/// A pattern before its first `**` and from there on: what leads to directories, and what is looked for beneath them.
fn recursive(pattern: &str) -> Option<(&str, &str)> {
    let mut start = 0;
    for part in pattern.split('/') {
        if part == "**" {
            return Some(pattern.split_at(start));
        }
        start += part.len() + 1;
    }
    None
}

/// The files beneath a directory that a pattern fits, themselves or a directory that they are in. A link that leads
/// back is told, not followed, and each file comes once.
fn beneath(root: PathBuf, pattern: Pattern) -> Files {
    let is_hidden_meant = pattern
        .as_str()
        .split('/')
        .any(|part| part.starts_with('.'));
    let fits = move |path: &Path| {
        let mut paths = path.ancestors();
        paths.any(|path| path != Path::new("") && pattern.matches_path_with(path, AS_SHELLS_DO))
    };
    // What is looked for here has no `./` before it.
    let is_here = root == Path::new(".");
    let files = walk(&root, is_hidden_meant).filter_map(move |found| match found {
        Ok(path) => {
            let relative = path.strip_prefix(&root).unwrap_or(&path);
            let named = if is_here { relative } else { &path };
            fits(relative).then(|| Ok(named.to_owned()))
        }
        error => Some(error),
    });
    Box::new(files)
}

/// The file or the directory that a pattern has led to.
fn matched(found: GlobResult) -> Files {
    match found {
        Ok(path) if path.is_dir() => within(&path),
        Ok(path) => Box::new(iter::once(Ok(path))),
        Err(error) => unreadable(&error),
    }
}

fn unreadable(error: &GlobError) -> Files {
    let reason = InputError::Unreadable(error.error().to_string());
    Box::new(iter::once(Err((error.path().to_owned(), reason))))
}

/// The files of a directory and of those in it. Hidden ones, pipes and sockets are passed over.
fn within(directory: &Path) -> Files {
    walk(directory, false)
}

/// The same, the hidden ones too where they are meant.
fn walk(directory: &Path, is_hidden_meant: bool) -> Files {
    let root = directory.to_owned();
    let entries = WalkDir::new(directory)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(move |entry| entry.depth() == 0 || is_hidden_meant || !is_hidden(entry));
    Box::new(entries.filter_map(move |entry| match entry {
        Ok(entry) => entry.file_type().is_file().then(|| Ok(entry.into_path())),
        Err(error) => {
            let path = error.path().unwrap_or(&root).to_owned();
            let reason = match (error.loop_ancestor(), error.io_error()) {
                (Some(above), _) => format!("a link back to {}", above.display()),
                (None, Some(cause)) => cause.to_string(),
                (None, None) => error.to_string(),
            };
            Some(Err((path, InputError::Unreadable(reason))))
        }
    }))
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}
