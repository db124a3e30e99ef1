// Secrets that change, end and are refused while a hub is read. `main.rs` includes this behind the others, once for
// each engine.

/// A file with a connection string to somebody between, and how many tokens and connections there were.
struct SecretFile {
    path: std::path::PathBuf,
    string: String,
    _folder: tempfile::TempDir,
}

impl SecretFile {
    fn new(between: &Between) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let file = Self {
            path: folder.path().join("eventhub"),
            string: between.string.clone(),
            _folder: folder,
        };
        file.write(&file.string);
        file
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.path, text).expect("a file");
    }

    fn write_key(&self, key: &str) {
        self.write(&self.string.replace("SAS_KEY_VALUE", key));
    }

    fn receiver(&self) -> Receiver {
        let file = ConnectionString::from_file(&self.path).expect("a connection string");
        let config = Config {
            connection_string: file,
            ..config(&self.string)
        };
        EventHub::new(config).receiver(PartitionId::new("0"), StartPosition::Earliest)
    }
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    haystack
        .windows(needle.len())
        .filter(|part| *part == needle)
        .count()
}

/// Runs a scene, and tells of each connection to the hub how many tokens it has put.
async fn tokens_put(between: &Between, scene: impl Future<Output = ()> + Send) -> Vec<usize> {
    let put = std::sync::Mutex::new(Vec::new());
    let fate = |connection, _, frame| {
        put.lock().expect("a count").resize(connection + 1, 0);
        Fate::Pass(frame)
    };
    let said = |bytes: &[u8]| {
        let count = count(bytes, b"put-token");
        if let Some(last) = put.lock().expect("a count").last_mut() {
            *last += count;
        }
    };
    tokio::select! {
        () = scene => {}
        () = between.pass(fate, said) => {}
    }
    put.into_inner().expect("a count")
}

#[tokio::test(start_paused = true)]
async fn a_changed_secret_makes_a_new_token_on_the_connection_that_there_is() {
    let world = World::start().await;
    world.append(0..1);
    let between = Between::new(&world).await;
    let file = SecretFile::new(&between);
    let mut receiver = file.receiver();
    let scene = async {
        assert_eq!(receiver.receive().await.unwrap().sequence_number.0, 0);
        quiet(&mut receiver, Duration::from_secs(60)).await;
        world.emulator.replace_key("ANOTHER_KEY");
        file.write_key("ANOTHER_KEY");
        quiet(&mut receiver, Duration::from_secs(20)).await;
        world.append(1..2);
        assert_eq!(receiver.receive().await.unwrap().sequence_number.0, 1);
        // Two renewals with the key that is good now.
        quiet(&mut receiver, Duration::from_secs(5_500)).await;
        world.append(2..3);
        assert_eq!(receiver.receive().await.unwrap().sequence_number.0, 2);
    };
    assert_eq!(tokens_put(&between, scene).await, [4]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_of_no_use_leaves_the_secret_as_it_was() {
    let world = World::start().await;
    world.append(0..1);
    let between = Between::new(&world).await;
    let file = SecretFile::new(&between);
    let mut receiver = file.receiver();
    let scene = async {
        assert_eq!(receiver.receive().await.unwrap().sequence_number.0, 0);
        for text in [
            "",
            "Endpoint=sb://elsewhere/;SharedAccessKeyName=n;SharedAccessKey=k",
        ] {
            file.write(text);
            quiet(&mut receiver, Duration::from_secs(60)).await;
        }
        std::fs::remove_file(&file.path).unwrap();
        quiet(&mut receiver, Duration::from_secs(2_700)).await;
    };
    assert_eq!(tokens_put(&between, scene).await, [2]);
}

#[tokio::test(start_paused = true)]
async fn a_new_secret_that_is_refused_is_tried_again_while_the_old_token_serves() {
    let world = World::start().await;
    world.append(0..1);
    let between = Between::new(&world).await;
    let file = SecretFile::new(&between);
    let mut receiver = file.receiver();
    let scene = async {
        assert_eq!(receiver.receive().await.unwrap().sequence_number.0, 0);
        // The service does not know of it yet.
        file.write_key("ANOTHER_KEY");
        quiet(&mut receiver, Duration::from_secs(90)).await;
        world.append(1..2);
        assert_eq!(receiver.receive().await.unwrap().sequence_number.0, 1);
        world.emulator.replace_key("ANOTHER_KEY");
        quiet(&mut receiver, Duration::from_secs(3_000)).await;
    };
    let put = tokens_put(&between, scene).await;
    assert!(matches!(put[..], [4..8]), "{put:?}");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_refused_leads_to_reconnecting_with_waits() {
    let world = World::start().await;
    world.append(0..1);
    let between = Between::new(&world).await;
    let file = SecretFile::new(&between);
    let mut receiver = between.receiver();
    let mut late = file.receiver();
    let scene = async {
        assert_eq!(receiver.receive().await.unwrap().sequence_number.0, 0);
        world.emulator.replace_key("ANOTHER_KEY");
        quiet(&mut receiver, Duration::from_secs(3_600)).await;
        world.append(1..2);
        world.emulator.replace_key("SAS_KEY_VALUE");
        assert_eq!(receiver.receive().await.unwrap().sequence_number.0, 1);
    };
    let put = tokens_put(&between, scene).await;
    // The first has put two, one good; then one every half a minute for a quarter of an hour.
    assert_eq!(put[0], 2);
    assert!((20..=40).contains(&put.len()), "{}", put.len());

    // The same with a file, where the right key comes at last.
    let scene = async {
        for number in 0..2 {
            assert_eq!(late.receive().await.unwrap().sequence_number.0, number);
        }
        world.emulator.replace_key("ANOTHER_KEY");
        quiet(&mut late, Duration::from_secs(2_800)).await;
        file.write_key("ANOTHER_KEY");
        quiet(&mut late, Duration::from_secs(60)).await;
        world.append(2..3);
        assert_eq!(late.receive().await.unwrap().sequence_number.0, 2);
    };
    tokens_put(&between, scene).await;
}

#[tokio::test]
async fn a_signature_that_has_expired_is_refused_before_anybody_is_asked() {
    // Nobody listens there.
    let string = "Endpoint=sb://127.0.0.1:1;SharedAccessSignature=SharedAccessSignature sr=x&sig=c2ln\
                  &se=1700000000&skn=n;UseDevelopmentEmulator=true;EntityPath=dataverse-events";
    let error = patiently(EventHub::new(config(string)).partitions())
        .await
        .expect_err("expired");
    assert!(
        matches!(error, ReceiverError::Unauthorized { .. }),
        "{error:?}"
    );
    check(
        &error,
        &["the given SharedAccessSignature expired 2023-11-14T22:13:20Z"],
    );
    assert!(!error.to_string().contains("c2ln"), "{error}");
}

/// A performative, and behind it whatever its frame holds else.
fn performative(frame: &[u8], code: u8) -> Option<&[u8]> {
    let body = frame.get(8..)?;
    body.starts_with(&[0x00, 0x53, code]).then_some(body)
}

/// A hub that takes the links to `$cbs` away as soon as a token was put, on each connection once.
fn takes_cbs_away() -> impl FnMut(usize, usize, Vec<u8>) -> Fate {
    use fe2o3_amqp::types::performatives::{Attach, Detach};

    let (mut handles, mut taken) = (Vec::new(), Vec::new());
    let mut last = None;
    move |connection, number, frame| {
        if number == 0 {
            (handles, taken) = (Vec::new(), Vec::new());
        }
        let channel = [frame[6], frame[7]];
        if let Some(body) = performative(&frame, 0x12) {
            let attach: Attach = serde_amqp::from_slice(body).expect("an attach");
            if attach.name.starts_with("cbs-") {
                handles.push((channel, attach.handle));
            }
        }
        if let Some(body) = performative(&frame, 0x16) {
            let detach: Detach = serde_amqp::from_slice(body).expect("a detach");
            let place = (channel, detach.handle);
            if let Some(at) = taken.iter().position(|taken| *taken == place) {
                // The hub answers what it has not asked for.
                taken.remove(at);
                return Fate::Pass(vec![0, 0, 0, 8, 2, 0, 0, 0]);
            }
        }
        let is_put = performative(&frame, 0x14).is_some() && count(&frame, b"Accepted") > 0;
        if !is_put || last.replace(connection) == Some(connection) {
            return Fate::Pass(frame);
        }
        let mut frames = frame;
        for (channel, handle) in std::mem::take(&mut handles) {
            taken.push((channel, handle.clone()));
            let detach = Detach {
                handle,
                closed: true,
                error: None,
            };
            let body = serde_amqp::to_vec(&detach).expect("a detach");
            let size = u32::try_from(8 + body.len()).expect("a size");
            let head = [&size.to_be_bytes()[..], &[2, 0], &channel].concat();
            frames.extend([head, body].concat());
        }
        Fate::Pass(frames)
    }
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_keeps_no_links_to_cbs_is_read_and_given_new_tokens() {
    let world = World::start().await;
    world.append(0..3);
    let between = Between::new(&world).await;
    let mut receiver = between.receiver();
    let put = std::cell::Cell::new(0);
    let scene = async {
        let begun = tokio::time::Instant::now();
        read(&mut receiver, 0..3).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{begun:?}");
        // Long enough for a token to be over.
        quiet(&mut receiver, Duration::from_secs(4_000)).await;
        world.append(3..4);
        read(&mut receiver, 3..4).await;
        assert!(put.get() >= 2, "{}", put.get());
        if matches!(ENGINE, Engine::Own) {
            assert_eq!(receiver.standing().snapshot().reconnects, 0);
        }
    };
    tokio::select! {
        () = scene => {}
        () = between.pass(takes_cbs_away(), |said| put.set(put.get() + count(said, b"put-token"))) => {}
    }
}
