//! A claim against a node that takes every token, or none.

use super::super::entra::{Identity, Proof};
use super::super::transport::Transport;
use super::*;

/// A node that answers so, and counts how often it was asked.
struct Node {
    answer: fn() -> Result<(), Failure>,
    asked: usize,
}

impl Cbs for Node {
    async fn ask(&mut self, _: &[(&str, &str)], _: Value) -> Result<(), Failure> {
        self.asked += 1;
        (self.answer)()
    }

    async fn heartbeat(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

#[tokio::test]
async fn the_old_token_serves_while_whoever_gives_new_ones_is_away() {
    // Nobody listens there.
    let transport = Transport {
        proxy: "http://127.0.0.1:1".parse().unwrap(),
        ..Transport::default()
    };
    let proof = Proof::ClientSecret {
        tenant_id: "tenant".to_owned(),
        client_id: "client".to_owned(),
        secret: Secret::new("new"),
    };
    let identity = Identity::new(proof, &transport).unwrap();
    let target = ConnectionString::of_identity("ns", identity).unwrap();
    let mut claim = Claim::without_token(&target, "eh1");
    let mut node = Node {
        answer: || Ok(()),
        asked: 0,
    };
    claim.try_new_secret(&mut node, 1).await.unwrap();
    assert_eq!(node.asked, 0);
    let now = Instant::now();
    assert!(!claim.may_try(1, now) && claim.may_try(1, now + REFUSED_DELAY));
    assert!(claim.may_try(2, now), "another one is tried at once");
}

#[tokio::test]
async fn the_old_token_serves_while_the_new_one_is_refused_and_not_where_the_node_is_away() {
    let string = "Endpoint=sb://ns/;SharedAccessKeyName=n;SharedAccessKey=k";
    let refused = || {
        Err(Failure::Answer {
            condition: "amqp:unauthorized-access".to_owned(),
            description: "no".to_owned(),
        })
    };
    let away = || Err(Failure::lost("away"));
    for (answer, is_kept) in [(refused as fn() -> _, true), (away, false)] {
        let mut claim = Claim::without_token(&string.parse().unwrap(), "eh1");
        let mut node = Node { answer, asked: 0 };
        let tried = claim.try_new_secret(&mut node, 1).await;
        assert_eq!((node.asked, tried.is_ok()), (1, is_kept));
        assert_eq!(claim.may_try(1, Instant::now()), !is_kept);
    }
}
