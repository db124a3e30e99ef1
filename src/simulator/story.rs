//! The story: what happens in the simulated organization, as an endless series of posts.

use time::OffsetDateTime;

use super::Format;
use super::operations::Operation;
use super::pipeline;
use super::post::Post;
use super::world::{START, World};

/// The events of a fictitious organization, one after the other, without end.
///
/// The same seed tells the same story, byte for byte, whenever and wherever it is told. The format
/// changes only how it is written: JSON and XML of one seed tell the same.
#[derive(Debug)]
pub struct Story {
    world: World,
    format: Format,
}

impl Story {
    /// The story of `seed`, which starts at a fixed moment of the year 2025.
    pub fn new(seed: u64, format: Format) -> Self {
        Self::starting_at(START, seed, format)
    }

    /// The same story at another time: `start` shows in the dates and in the guids made from them.
    pub fn starting_at(start: OffsetDateTime, seed: u64, format: Format) -> Self {
        Self {
            world: World::new(seed, start),
            format,
        }
    }
}

impl Iterator for Story {
    type Item = Post;

    /// Never `None`.
    fn next(&mut self) -> Option<Post> {
        self.world.turn();
        let operation = Operation::next(&mut self.world);
        let execution = pipeline::execute(operation, &mut self.world);
        // Drawn in every format, so that the dice fall the same.
        let heads = self.world.dice.bool();
        let is_xml = match self.format {
            Format::Json => false,
            Format::Xml => true,
            Format::Mixed => heads,
        };
        Some(Post::of(&execution, is_xml, &self.world))
    }
}
