// What lies ahead of all receivers together, in bytes; `main.rs` includes it once for each engine.

use dataverse_listener::budget::Budget;

const MIB: usize = 1 << 20;
/// The size of an event here.
const LARGE: usize = 256 * 1024;
/// What a receiver may have unread whatever the others have: an event and what is read together with it, or all
/// that comes before the first event.
const EACH: usize = match ENGINE {
    Engine::Own => LARGE + 128 * 1024,
    Engine::Fe2o3 => MIB + 64 * 1024,
};

async fn world_of_large_events(partitions: u16, events: usize) -> World {
    let options = Options {
        partitions,
        ..Options::default()
    };
    let world = World::with(options).await;
    for partition in 0..partitions {
        for _ in 0..events {
            world
                .emulator
                .append_body(partition, &[b'x'; LARGE])
                .expect("a partition");
        }
    }
    world
}

fn sharing(world: &World, budget: &Arc<Budget>, partition: u16) -> Receiver {
    let partition = PartitionId::new(&partition.to_string());
    let hub = world.hub().within(budget);
    hub.receiver(partition, StartPosition::Earliest)
}

/// Gives everything that is under way the time to come.
async fn until_quiet(budget: &Budget) {
    let mut quiet = 0;
    let mut before = budget.held();
    while quiet < 2_000 {
        tokio::task::yield_now().await;
        let now = budget.held();
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
    }
}

#[tokio::test]
async fn receivers_that_come_later_share_what_the_first_may_have_alone() {
    const PARTITIONS: u16 = 4;
    const EVENTS: usize = 40;
    let world = world_of_large_events(PARTITIONS, EVENTS).await;
    let budget = Budget::new(4 * MIB);
    let most = 4 * MIB + usize::from(PARTITIONS) * EACH;
    let mut receivers = vec![sharing(&world, &budget, 0)];
    next(&mut receivers[0]).await;
    // All of it, but for an event or two.
    let alone = async {
        while budget.held() < 3 * MIB {
            tokio::task::yield_now().await;
        }
    };
    patiently(alone).await;
    for partition in 1..PARTITIONS {
        let mut receiver = sharing(&world, &budget, partition);
        next(&mut receiver).await;
        receivers.push(receiver);
    }
    until_quiet(&budget).await;
    assert!(budget.held() <= most, "{}", budget.held());
    for _ in 1..EVENTS {
        for receiver in &mut receivers {
            next(receiver).await;
            assert!(budget.held() <= most, "{}", budget.held());
        }
    }
    drop(receivers);
    let given_back = async {
        while budget.held() > 0 {
            tokio::task::yield_now().await;
        }
    };
    patiently(given_back).await;
}

#[tokio::test]
async fn receivers_that_nobody_asks_for_more_hold_no_more_than_their_budget() {
    const PARTITIONS: u16 = 8;
    let world = world_of_large_events(PARTITIONS, 20).await;
    let budget = Budget::new(4 * MIB);
    let sharing = |partition| sharing(&world, &budget, partition);
    let mut receivers: Vec<Receiver> = (0..PARTITIONS).map(sharing).collect();
    for receiver in &mut receivers {
        next(receiver).await;
    }
    let much = async {
        while budget.held() < MIB {
            tokio::task::yield_now().await;
        }
    };
    patiently(much).await;
    until_quiet(&budget).await;
    let held = budget.held();
    assert!(held <= 4 * MIB + 64 * 1024, "{held}");
}
