//! What is to be posted: a piece of the story, or files as they are.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::post::Post;
use super::story::Story;
use super::{Options, SimulateError};

/// The largest event that any tier of Event Hubs takes, in bytes.
const MAX_FILE_SIZE: u64 = 20 * 1024 * 1024;

/// The posts of one run, in their order.
#[derive(Debug)]
pub(crate) struct Posts {
    source: Source,
    left: Option<u64>,
}

#[derive(Debug)]
enum Source {
    Story(Box<Story>),
    Files { posts: Vec<Post>, next: usize },
}

impl Posts {
    /// Reads the files, all of them before the first is posted: a missing one is told in time.
    pub(crate) async fn gather(options: &Options) -> Result<Self, SimulateError> {
        let Options {
            count,
            files,
            seed,
            format,
            ..
        } = options;
        if files.is_empty() {
            let story = match options.start {
                Some(start) => Story::starting_at(start, *seed, *format),
                None => Story::new(*seed, *format),
            };
            return Ok(Self {
                source: Source::Story(Box::new(story)),
                left: *count,
            });
        }
        let mut posts = Vec::with_capacity(files.len());
        for path in files {
            posts.push(read(path).await?);
        }
        let left = count.unwrap_or(posts.len() as u64);
        Ok(Self {
            source: Source::Files { posts, next: 0 },
            left: Some(left),
        })
    }
}

impl Iterator for Posts {
    type Item = Post;

    fn next(&mut self) -> Option<Post> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1)?;
        }
        match &mut self.source {
            Source::Story(story) => story.next(),
            Source::Files { posts, next } => {
                let post = posts.get(*next).cloned();
                *next = (*next + 1) % posts.len();
                post
            }
        }
    }
}

async fn read(path: &Path) -> Result<Post, SimulateError> {
    let owned = || -> PathBuf { path.to_owned() };
    let failed = |source| SimulateError::File {
        path: owned(),
        source,
    };
    let body = read_at_most(path).await.map_err(failed)?;
    if body.len() as u64 > MAX_FILE_SIZE {
        return Err(SimulateError::FileTooLarge {
            path: owned(),
            limit: MAX_FILE_SIZE,
        });
    }
    Ok(Post::of_file(body))
}

/// One byte more than is allowed tells that it is too much.
async fn read_at_most(path: &Path) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let file = File::open(path).await?;
    file.take(MAX_FILE_SIZE + 1).read_to_end(&mut body).await?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(count: Option<u64>, files: Vec<PathBuf>) -> Options {
        Options {
            count,
            files,
            ..Options::default()
        }
    }

    #[tokio::test]
    async fn files_are_posted_once_or_as_often_as_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, name).unwrap();
            path
        };
        let files = vec![write("a"), write("b")];
        for (count, expected) in [
            (None, "ab"),
            (Some(1), "a"),
            (Some(5), "ababa"),
            (Some(0), ""),
        ] {
            let posts = Posts::gather(&options(count, files.clone())).await.unwrap();
            let bodies: Vec<u8> = posts.flat_map(|post| post.body).collect();
            assert_eq!(String::from_utf8(bodies).unwrap(), expected, "{count:?}");
        }
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_named() {
        let missing = PathBuf::from("no/such/file.json");
        let error = Posts::gather(&options(None, vec![missing]))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "no/such/file.json cannot be read");
    }

    #[tokio::test]
    async fn a_file_no_hub_takes_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huge.json");
        std::fs::File::create(&path)
            .unwrap()
            .set_len(MAX_FILE_SIZE + 1)
            .unwrap();
        let error = Posts::gather(&options(None, vec![path])).await.unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("is larger than 20971520 bytes, the most that a hub takes")
        );
    }

    #[tokio::test]
    async fn a_story_ends_with_its_count() {
        let posts = Posts::gather(&options(Some(3), Vec::new())).await.unwrap();
        assert_eq!(posts.count(), 3);
        let endless = Posts::gather(&options(None, Vec::new())).await.unwrap();
        assert_eq!(endless.take(50).count(), 50);
    }
}
