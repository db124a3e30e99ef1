//! Whether a link may be attached, and what it becomes.
//!
//! The rules of the service: a node that exists, a token that covers it, a position that makes sense,
//! and a seat that is free (see [`Roster`](super::roster::Roster)).

use fe2o3_amqp::types::definitions::Role;
use fe2o3_amqp::types::messaging::TargetArchetype;
use fe2o3_amqp::types::performatives::Attach;
use fe2o3_amqp::types::primitives::{Symbol, Value};

use super::address::{Node, path_of};
use super::condition::Refusal;
use super::hub::Target;
use super::link::{Feed, Incoming, Link, Outgoing, Reading, Replies, Sink};
use super::request::Service;
use super::roster::{Peer, Seat};
use super::scope::Scope;
use super::selector::Position;

const EPOCH: &str = "com.microsoft:epoch";
const RECEIVER_NAME: &str = "com.microsoft:receiver-name";
const RUNTIME_METRIC: &str = "com.microsoft:enable-receiver-runtime-metric";

/// The node that a peer wants to send to or receive from.
pub(crate) fn node(attach: &Attach) -> Node {
    Node::parse(&address(attach))
}

/// Makes the hub's end of the link, or says why not.
pub(crate) fn admit(attach: &Attach, scope: &Scope) -> Result<Link, Refusal> {
    let address = address(attach);
    match (Node::parse(&address), &attach.role) {
        (Node::Cbs, _) => Ok(service_link(Service::Cbs, attach, scope)),
        (Node::Management, _) => {
            if !scope.access.is_known(scope.now) {
                return Err(Refusal::unauthorized(
                    "Manage",
                    &scope.host,
                    path_of(&address),
                ));
            }
            Ok(service_link(Service::Management, attach, scope))
        }
        (node, Role::Receiver) => receiver(node, &address, attach, scope),
        (node, Role::Sender) => sender(node, &address, attach, scope),
    }
}

fn service_link(service: Service, attach: &Attach, scope: &Scope) -> Link {
    let count = scope.hub().count_link();
    match attach.role {
        Role::Sender => {
            let first = attach.initial_delivery_count.unwrap_or(0);
            Link::Incoming(Incoming::new(Sink::Requests(service), first, count))
        }
        Role::Receiver => {
            let replies = Replies::new(service, target_address(attach));
            Link::Outgoing(Outgoing::new(Feed::Replies(replies), count))
        }
    }
}

fn receiver(node: Node, address: &str, attach: &Attach, scope: &Scope) -> Result<Link, Refusal> {
    let path = path_of(address);
    check_access("Listen", path, scope)?;
    let Node::Consumer {
        hub,
        group,
        partition,
    } = node
    else {
        return Err(Refusal::entity_not_found(&scope.host, path));
    };
    if !scope.hub().is_named(&hub) || !scope.hub().has_group(&group) {
        return Err(Refusal::entity_not_found(&scope.host, path));
    }
    let partition = partition_number(&partition, scope)?;
    let source = attach.source.as_ref();
    let position = Position::of(source.and_then(|source| source.filter.as_ref()))?;
    let seat = Seat {
        partition,
        group: group.to_lowercase(),
    };
    let member = scope
        .hub()
        .join(seat, &peer(attach)?, &position, scope.mailbox())?;
    let reading = Reading {
        path: path.to_owned(),
        member,
        has_metrics: desires(attach, RUNTIME_METRIC),
    };
    let count = scope.hub().count_link();
    Ok(Link::Outgoing(Outgoing::new(Feed::Events(reading), count)))
}

fn sender(node: Node, address: &str, attach: &Attach, scope: &Scope) -> Result<Link, Refusal> {
    let path = path_of(address);
    check_access("Send", path, scope)?;
    let (hub, partition) = match node {
        Node::Hub { hub } => (hub, None),
        Node::Partition { hub, partition } => (hub, Some(partition)),
        _ => return Err(Refusal::entity_not_found(&scope.host, path)),
    };
    if !scope.hub().is_named(&hub) {
        return Err(Refusal::entity_not_found(&scope.host, path));
    }
    let target = match partition {
        Some(id) => Target::Partition(partition_number(&id, scope)?),
        None => Target::Hub,
    };
    let sink = Sink::Events {
        path: path.to_owned(),
        target,
        generation: scope.hub().generation(),
    };
    let first = attach.initial_delivery_count.unwrap_or(0);
    Ok(Link::Incoming(Incoming::new(
        sink,
        first,
        scope.hub().count_link(),
    )))
}

fn check_access(claim: &str, path: &str, scope: &Scope) -> Result<(), Refusal> {
    if let Some(refusal) = scope.hub().conduct.attach_refusal() {
        return Err(refusal);
    }
    let is_withheld = claim == "Listen" && scope.hub().conduct.withholds_listen();
    if is_withheld || !scope.access.covers(path, scope.now) {
        return Err(Refusal::unauthorized(claim, &scope.host, path));
    }
    Ok(())
}

fn partition_number(id: &str, scope: &Scope) -> Result<u16, Refusal> {
    let found = scope.hub().partition(id);
    found.ok_or_else(|| Refusal::partition_out_of_range(scope.hub().partitions()))
}

fn peer(attach: &Attach) -> Result<Peer, Refusal> {
    let property = |name: &str| {
        let properties = attach.properties.as_ref()?;
        properties.get(&Symbol::from(name))
    };
    let epoch = match property(EPOCH) {
        None | Some(Value::Null) => None,
        Some(Value::Long(epoch)) => Some(*epoch),
        Some(_) => return Err(Refusal::epoch_type()),
    };
    let name = match property(RECEIVER_NAME) {
        Some(Value::String(name)) => Some(name.as_str()),
        _ => None,
    };
    Ok(Peer::new(name, epoch))
}

fn desires(attach: &Attach, capability: &str) -> bool {
    let desired = attach.desired_capabilities.iter();
    desired
        .flat_map(|array| array.0.iter())
        .any(|name| name.as_str() == capability)
}

fn address(attach: &Attach) -> String {
    let address = match attach.role {
        Role::Receiver => source_address(attach),
        Role::Sender => target_address(attach),
    };
    address.unwrap_or_default()
}

fn source_address(attach: &Attach) -> Option<String> {
    attach.source.as_ref()?.address.clone()
}

fn target_address(attach: &Attach) -> Option<String> {
    match attach.target.as_deref()? {
        TargetArchetype::Target(target) => target.address.clone(),
    }
}
