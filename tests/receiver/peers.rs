// What has gone wrong with other receivers of Event Hubs. `main.rs` includes this behind the others, once for each
// engine.

/// A section of a message that is not `data`, for `descriptor`.
fn section(descriptor: u8, value: &[u8]) -> Vec<u8> {
    [&[0x00, 0x53, descriptor][..], value].concat()
}

/// A string, a binary or a symbol, by its constructor.
fn text(constructor: u8, text: &[u8]) -> Vec<u8> {
    let len = u8::try_from(text.len()).expect("a short text");
    [&[constructor, len][..], text].concat()
}

/// A map of so many encoded keys and values.
fn map(pairs: &[Vec<u8>]) -> Vec<u8> {
    let entries = pairs.concat();
    let size = u32::try_from(entries.len() + 4).expect("a size");
    let count = u32::try_from(pairs.len()).expect("a count");
    [
        &[0xd1][..],
        &size.to_be_bytes(),
        &count.to_be_bytes(),
        &entries,
    ]
    .concat()
}

#[tokio::test]
async fn a_body_of_any_kind_with_an_id_of_any_kind_or_none_is_an_event() {
    const DATA: u8 = 0x75;
    const VALUE: u8 = 0x77;
    let data = |bytes: &[u8]| section(DATA, &text(0xa0, bytes));
    let properties = |id: &[u8]| section(0x73, &[&[0xc0, 1 + id.len() as u8, 1][..], id].concat());
    let uuid = [&[0x98][..], &[7; 16]].concat();
    // None where it cannot be read.
    let cases: Vec<(Vec<u8>, Option<&str>)> = vec![
        (data(b"{}"), Some("{}")),
        (data(b""), Some("")),
        (
            [data(b"one"), data(b""), data(b"two")].concat(),
            Some("onetwo"),
        ),
        (section(VALUE, &text(0xa1, b"text")), Some("text")),
        (section(VALUE, &text(0xa0, b"binary")), Some("binary")),
        (section(VALUE, &[0x40]), None),
        (section(VALUE, &[0x54, 1]), None),
        (section(VALUE, &map(&[])), None),
        (section(0x76, &[0xc0, 3, 1, 0x54, 1]), None),
        // No body at all: only an empty map of application properties, or the properties of a message.
        (section(0x74, &map(&[])), None),
        (properties(&[0x40]), None),
        ([properties(&[0x40]), data(b"null")].concat(), Some("null")),
        (
            [properties(&[0x53, 9]), data(b"number")].concat(),
            Some("number"),
        ),
        ([properties(&uuid), data(b"uuid")].concat(), Some("uuid")),
        (
            [properties(&text(0xa0, b"id")), data(b"binary")].concat(),
            Some("binary"),
        ),
        (
            [properties(&text(0xa1, b"id")), data(b"string")].concat(),
            Some("string"),
        ),
    ];
    let world = World::start().await;
    for (message, _) in &cases {
        world.emulator.append(0, message).unwrap();
    }
    let mut receiver = world.receiver("earliest");
    for (number, (message, expected)) in (0..).zip(&cases) {
        let event = next(&mut receiver).await;
        assert_eq!(event.sequence_number.0, number);
        match (&event.body, expected) {
            (Body::Bytes(bytes), Some(expected)) => assert_eq!(bytes, expected.as_bytes()),
            (Body::Unreadable { .. }, None) => {}
            (body, expected) => panic!("{message:02x?} is {body:?}, not {expected:?}"),
        }
    }
}

#[tokio::test]
async fn a_property_of_any_type_arrives_under_its_name_and_none_is_no_trouble() {
    let key = "http://schemas.microsoft.com/xrm/2011/Claims/Organization";
    let cases: Vec<(&str, Vec<u8>, serde_json::Value)> = vec![
        (
            key,
            text(0xa1, b"org.crm4.dynamics.com"),
            "org.crm4.dynamics.com".into(),
        ),
        ("null", vec![0x40], serde_json::Value::Null),
        ("true", vec![0x41], true.into()),
        ("boolean", vec![0x56, 0], false.into()),
        ("ubyte", vec![0x50, 255], 255.into()),
        ("ushort", vec![0x60, 255, 255], 65_535.into()),
        ("uint", vec![0x70, 255, 255, 255, 255], u32::MAX.into()),
        ("uint0", vec![0x43], 0.into()),
        ("ulong", [&[0x80][..], &[255; 8]].concat(), u64::MAX.into()),
        ("byte", vec![0x51, 0x80], (-128).into()),
        ("short", vec![0x61, 0x80, 0], (-32_768).into()),
        ("int", vec![0x71, 0x80, 0, 0, 0], i32::MIN.into()),
        (
            "long",
            [&[0x81, 0x80][..], &[0; 7]].concat(),
            i64::MIN.into(),
        ),
        ("smalllong", vec![0x55, 0xff], (-1).into()),
        (
            "float",
            [&[0x72][..], &1.5f32.to_be_bytes()].concat(),
            serde_json::json!(1.5),
        ),
        (
            "double",
            [&[0x82][..], &0.1f64.to_be_bytes()].concat(),
            serde_json::json!(0.1),
        ),
        ("char", vec![0x73, 0, 0, 0, b'A'], "A".into()),
        (
            "timestamp",
            [&[0x83][..], &1_700_000_000_000i64.to_be_bytes()].concat(),
            "2023-11-14T22:13:20Z".into(),
        ),
        (
            "uuid",
            [&[0x98][..], &[0x11; 16]].concat(),
            "11111111-1111-1111-1111-111111111111".into(),
        ),
        ("binary", text(0xa0, b"hi"), "aGk=".into()),
        ("symbol", text(0xa3, b"symbol"), "symbol".into()),
        ("decimal", vec![0x74, 0, 0, 0, 0], "AAAAAA==".into()),
    ];
    let pairs = cases.iter();
    let pairs = pairs.flat_map(|(name, value, _)| [text(0xa1, name.as_bytes()), value.clone()]);
    let pairs: Vec<_> = pairs.collect();
    let world = World::start().await;
    let body = section(0x75, &text(0xa0, b"{}"));
    let message = [section(0x74, &map(&pairs)), body.clone()].concat();
    world.emulator.append(0, &message).unwrap();
    world.emulator.append(0, &body).unwrap();
    let mut receiver = world.receiver("earliest");
    let event = next(&mut receiver).await;
    let properties: Vec<_> = event.properties.iter().collect();
    let expected: Vec<_> = cases
        .iter()
        .map(|(name, _, value)| (*name, value))
        .collect();
    // By their texts: JSON's numbers may keep their digits in several ways.
    assert_eq!(format!("{properties:?}"), format!("{expected:?}"));
    assert!(next(&mut receiver).await.properties.is_empty());
}

/// What a performative of the hub is, by its code: `detach`, `end`, `close`.
const DETACH: u8 = 0x16;
const END: u8 = 0x17;
const CLOSE: u8 = 0x18;

/// A goodbye of the hub, said without an error, or for a link without closing it.
fn without_error(frame: &[u8], is_closed: bool) -> Vec<u8> {
    let code = frame[10];
    let fields = match code {
        // As the hub encodes it: a list with its size and count, and the handle first.
        DETACH => {
            assert_eq!((frame[11], frame[20]), (0xd0, 0x70), "{frame:02x?}");
            let closed = if is_closed { 0x41 } else { 0x42 };
            [&[0xc0, 7, 2][..], &frame[20..25], &[closed]].concat()
        }
        _ => vec![0x45],
    };
    let size = u32::try_from(8 + 3 + fields.len()).expect("a size");
    [&size.to_be_bytes(), &frame[4..8], &frame[8..11], &fields].concat()
}

/// What becomes of a goodbye on its way.
type Change<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

#[tokio::test(start_paused = true)]
async fn a_goodbye_without_a_reason_is_followed_by_another_connection_like_any_other() {
    let kept = |frame: &[u8]| {
        let mut frame = frame.to_vec();
        assert_eq!(frame[25], 0x41);
        frame[25] = 0x42;
        frame
    };
    let closed = |frame: &[u8]| without_error(frame, true);
    let cases: [(Fault, u8, Change<'_>); 5] = [
        (Fault::Detach, DETACH, &closed),
        (Fault::Detach, DETACH, &|frame| without_error(frame, false)),
        (Fault::Detach, DETACH, &kept),
        (Fault::End, END, &closed),
        (Fault::Close, CLOSE, &closed),
    ];
    for (fault, code, change) in cases {
        let world = World::start().await;
        world.append(0..1);
        let between = Between::new(&world).await;
        let mut receiver = between.receiver();
        let mut changed = 0;
        let scene = async {
            read(&mut receiver, 0..1).await;
            for round in 1..4 {
                world.emulator.disturb(fault, Some(0));
                let begun = tokio::time::Instant::now();
                quiet(&mut receiver, Duration::from_secs(1)).await;
                world.append(round..round + 1);
                read(&mut receiver, round..round + 1).await;
                let took = begun.elapsed();
                assert!(took < Duration::from_secs(60), "{fault:?}: {took:?}");
                assert_eq!(world.emulator.receivers(0), 1, "{fault:?}");
            }
        };
        let fate = |_, _, frame: Vec<u8>| match frame.get(8..11) {
            Some([0x00, 0x53, found]) if *found == code => {
                changed += 1;
                Fate::Pass(change(&frame))
            }
            _ => Fate::Pass(frame),
        };
        tokio::select! {
            () = scene => {}
            () = between.pass(fate, |_| {}) => {}
        }
        assert!(changed >= 3, "{fault:?}: {changed}");
    }
}

#[tokio::test(start_paused = true)]
async fn half_an_hour_of_silence_on_every_connection_is_got_over() {
    let world = World::start().await;
    world.append(0..1);
    let between = Between::new(&world).await;
    let mut receiver = between.receiver();
    let is_silent = std::cell::Cell::new(false);
    let mut connections = 0;
    let scene = async {
        read(&mut receiver, 0..1).await;
        is_silent.set(true);
        world.append(1..3);
        quiet(&mut receiver, Duration::from_secs(1_800)).await;
        is_silent.set(false);
        let begun = tokio::time::Instant::now();
        read(&mut receiver, 1..3).await;
        let took = begun.elapsed();
        // An attempt that is under way ends first, and then there may be a wait.
        assert!(took < Duration::from_secs(120), "{took:?}");
        assert_eq!(world.emulator.receivers(0), 1);
    };
    let fate = |connection, _, frame| {
        connections = connections.max(connection + 1);
        match is_silent.get() {
            true => Fate::Silence,
            false => Fate::Pass(frame),
        }
    };
    tokio::select! {
        () = scene => {}
        () = between.pass(fate, |_| {}) => {}
    }
    assert!((10..120).contains(&connections), "{connections}");
}

#[tokio::test(start_paused = true)]
async fn what_is_closed_because_nothing_happens_on_it_is_opened_again() {
    const IDLE_CONNECTION: &str = "The connection was inactive for more than the allowed 240000 milliseconds and is \
                                   closed by container 'LinkTracker'. TrackingId:0_G1, SystemTracker:gateway5";
    const IDLE_LINK: &str = "The link 'G0:1:2' is force detached. Code: consumer(link3). Details: \
                             AmqpEventHubConsumer.IdleTimerExpired: Idle timeout: 00:30:00. TrackingId:0";
    let (world, mut receiver) = reading(1).await;
    let hub = &world.emulator;
    for round in 0..4 {
        quiet(&mut receiver, Duration::from_secs(1_800)).await;
        match round % 3 {
            0 => hub.close_connections("amqp:connection:forced", IDLE_CONNECTION),
            1 => hub.detach(0, "amqp:link:detach-forced", IDLE_LINK),
            // As a firewall does it, which forgets the connection.
            _ => hub.drop_connections(),
        }
        let begun = tokio::time::Instant::now();
        quiet(&mut receiver, Duration::from_millis(10)).await;
        world.append(round + 1..round + 2);
        read(&mut receiver, round + 1..round + 2).await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    world.until_connections(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_for_hours_goes_on_where_it_was() {
    let (world, mut receiver) = reading(1).await;
    for round in 1..6 {
        // Every time-out and every renewal is due at once.
        tokio::time::advance(Duration::from_secs(8 * 3600)).await;
        world.append(round..round + 1);
        let begun = tokio::time::Instant::now();
        read(&mut receiver, round..round + 1).await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(60), "{took:?}");
    }
    world.until_connections(1).await;
    assert_eq!(world.emulator.receivers(0), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_while_its_token_is_renewed_is_replaced() {
    // It is renewed after three quarters of an hour, and each of its steps takes a while.
    for offset in (0..3_000).step_by(300) {
        for fault in [Fault::Drop, Fault::Close] {
            let (world, mut receiver) = reading(1).await;
            world.emulator.set_delay(Duration::from_millis(400));
            quiet(&mut receiver, Duration::from_millis(2_699_000 + offset)).await;
            world.emulator.disturb(fault, Some(0));
            world.append(1..2);
            let begun = tokio::time::Instant::now();
            read(&mut receiver, 1..2).await;
            let took = begun.elapsed();
            assert!(
                took < Duration::from_secs(60),
                "{fault:?} {offset}: {took:?}"
            );
        }
    }
}

/// A transfer of an event, with another text as its offset.
fn with_offset(frame: &[u8], offset: &str) -> Option<Vec<u8>> {
    let find = |needle: &[u8]| frame.windows(needle.len()).position(|part| part == needle);
    let name = b"x-opt-offset";
    let value = find(name)? + name.len();
    // The annotations are a map with its size, as the hub encodes it.
    let annotations = find(&[0x00, 0x53, 0x72, 0xd1])? + 4;
    assert_eq!(frame[value], 0xa1, "{frame:02x?}");
    let end = value + 2 + usize::from(frame[value + 1]);
    let mut changed = [
        &frame[..value],
        &text(0xa1, offset.as_bytes()),
        &frame[end..],
    ]
    .concat();
    let grown = changed.len() as i64 - frame.len() as i64;
    for at in [0, annotations] {
        let size: &mut [u8; 4] = (&mut changed[at..at + 4]).try_into().expect("four bytes");
        *size = ((i64::from(u32::from_be_bytes(*size)) + grown) as u32).to_be_bytes();
    }
    Some(changed)
}

#[tokio::test(start_paused = true)]
async fn an_offset_that_is_no_number_or_empty_is_given_back_or_done_without() {
    for offset in ["", "abc", "1:2:3", "it's", "\u{e4}\u{20ac}"] {
        let world = World::start().await;
        world.append(0..3);
        let between = Between::new(&world).await;
        let mut receiver = between.receiver();
        let scene = async {
            for number in 0..9 {
                let event = tokio::time::timeout(LONG, receiver.receive()).await;
                let event = event.unwrap_or_else(|_| panic!("{number} does not come, {offset:?}"));
                let event = event.unwrap();
                assert_eq!(
                    (event.sequence_number.0, event.offset.as_str()),
                    (number, offset)
                );
                if number % 3 == 2 {
                    world.emulator.drop_connections();
                    world.append(number + 1..number + 4);
                }
            }
        };
        let fate = |_, _, frame: Vec<u8>| Fate::Pass(with_offset(&frame, offset).unwrap_or(frame));
        tokio::select! {
            () = scene => {}
            () = between.pass(fate, |_| {}) => {}
        }
    }
}

/// What lets a hub misbehave from now on.
type Begin = fn(&Emulator);

#[tokio::test(start_paused = true)]
async fn a_trouble_that_goes_on_is_told_once_a_minute_and_its_end_once() {
    let troubles: [(&str, Begin); 6] = [
        ("throttled", Emulator::throttle_attach),
        ("over its quota", Emulator::exhaust_quota),
        ("disabled", Emulator::disable),
        ("refusing tokens", Emulator::refuse_tokens),
        ("slow", |hub| hub.set_delay(Duration::from_secs(3_600))),
        ("frozen", Emulator::freeze),
    ];
    // With a single dispatcher in the process, what a thread without it logs first counts as of interest to nobody,
    // for good: other tests log the same.
    let _beside = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    for (what, begin) in troubles {
        let log = tempfile::NamedTempFile::new().unwrap();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(log.reopen().unwrap())
            .with_ansi(false)
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        let (world, mut receiver) = reading(1).await;
        world.emulator.drop_connections();
        begin(&world.emulator);
        quiet(&mut receiver, Duration::from_secs(900)).await;
        world.emulator.recover();
        world.append(1..2);
        read(&mut receiver, 1..2).await;
        drop(guard);
        let log = std::fs::read_to_string(log.path()).unwrap();
        let count = |words: &str| log.lines().filter(|line| line.contains(words)).count();
        // What it is first, and what it is then.
        assert!(matches!(count("partition lost"), 1..=3), "{what}: {log}");
        let again = count("partition still lost");
        assert!((7..=15).contains(&again), "{what}: {log}");
        assert_eq!(count("partition attached again"), 1, "{what}: {log}");
        assert!(log.lines().count() <= 20, "{what}: {log}");
    }
}
