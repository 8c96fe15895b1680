use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use maxpay_engine::model::RawId;

use super::*;

const LIMIT: Duration = Duration::from_secs(10);
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

const fn app(number: u8) -> AppId {
    AppId(RawId([number; 12]))
}

/// Names below `dead.` hang until the test lets them go; all others lead here.
struct Zone {
    lookups: Lookups,
    hanging: Arc<AtomicUsize>,
    let_go: Arc<OnceLock<()>>,
}

impl Zone {
    fn new() -> Self {
        let (hanging, let_go) = (Arc::new(AtomicUsize::new(0)), Arc::new(OnceLock::new()));
        let (count, held) = (Arc::clone(&hanging), Arc::clone(&let_go));
        let lookups = Lookups::by(move |name| {
            if name.starts_with("dead.") {
                count.fetch_add(1, Ordering::SeqCst);
                held.wait();
                return Err(io::Error::from(io::ErrorKind::TimedOut));
            }
            Ok(vec![HERE])
        });
        Self { lookups, hanging, let_go }
    }

    fn waiting(&self) -> usize {
        self.lookups.0.desk().waiting.len()
    }

    async fn until_hanging(&self, count: usize) {
        let reached = async {
            while self.hanging.load(Ordering::SeqCst) < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, reached).await.unwrap_or_else(|_| panic!("{count} do not hang"));
    }
}

#[tokio::test]
async fn names_resolve_to_every_address() {
    // The machine's own name gives loopback addresses with the port; a name that cannot exist gives a reason.
    let lookups = Lookups::of_platform();
    let found = lookups.find(Some(app(1)), "localhost", 81).await.expect("it resolves");
    assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback() && address.port() == 81));
    assert!(lookups.find(Some(app(1)), "", 80).await.is_err() || lookups.find(Some(app(1)), "a..b", 80).await.is_err());
}

#[tokio::test]
async fn names_that_hang_delay_their_own_app_alone() {
    // An app whose names all hang has its share of the threads and no more; names of others, and of no app, are found
    // meanwhile. Too many that wait are refused, and when the lookups end all who waited have an answer.
    let zone = Zone::new();
    let all = THREADS_OF_AN_APP + WAITING_OF_AN_APP;
    let find = |number| zone.lookups.find(Some(app(1)), &format!("dead.{number}"), 80);
    let mut asked = (0..all).map(find).collect::<futures_util::stream::FuturesUnordered<_>>();
    let one_more = find(all);
    assert_eq!(one_more.await, Err("too many names are waiting to be looked up"));
    zone.until_hanging(THREADS_OF_AN_APP).await;
    for other in [Some(app(2)), None] {
        let found = tokio::time::timeout(LIMIT, zone.lookups.find(other, "shop.example", 80)).await;
        assert_eq!(found, Ok(Ok(vec![SocketAddr::new(HERE, 80)])));
    }
    assert_eq!(zone.hanging.load(Ordering::SeqCst), THREADS_OF_AN_APP);
    zone.let_go.set(()).expect("once");
    let mut answered = 0;
    while let Some(found) = futures_util::StreamExt::next(&mut asked).await {
        assert_eq!(found, Err("the name does not resolve"));
        answered += 1;
    }
    assert_eq!((answered, zone.hanging.load(Ordering::SeqCst)), (all, all));
}

#[tokio::test]
async fn a_name_has_one_lookup_at_a_time() {
    // Whoever wants it meanwhile waits for the same answer, and takes no thread; a later one looks anew.
    let zone = Zone::new();
    let asked: Vec<_> = (0..1_000).map(|_| zone.lookups.find(Some(app(1)), "dead.shop", 80)).collect();
    zone.until_hanging(1).await;
    zone.let_go.set(()).expect("once");
    for found in asked {
        assert_eq!(found.await, Err("the name does not resolve"));
    }
    assert_eq!(zone.hanging.load(Ordering::SeqCst), 1);
    assert!(zone.lookups.find(Some(app(1)), "dead.shop", 80).await.is_err());
    assert_eq!(zone.hanging.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_name_that_nobody_waits_for_is_not_looked_up() {
    // Those whose tries are over leave nothing in the queue.
    let zone = Zone::new();
    let full: Vec<_> =
        (0..THREADS_OF_AN_APP).map(|it| zone.lookups.find(Some(app(1)), &format!("dead.{it}"), 80)).collect();
    zone.until_hanging(THREADS_OF_AN_APP).await;
    drop((0..100).map(|it| zone.lookups.find(Some(app(1)), &format!("dead.late.{it}"), 80)).collect::<Vec<_>>());
    let late = zone.lookups.find(Some(app(1)), "shop.example", 80);
    assert_eq!(zone.waiting(), 1);
    zone.let_go.set(()).expect("once");
    assert!(late.await.is_ok());
    drop(full);
    assert_eq!((zone.waiting(), zone.hanging.load(Ordering::SeqCst)), (0, THREADS_OF_AN_APP));
}

#[tokio::test]
async fn a_lookup_that_panics_harms_nobody_else() {
    // Its name does not resolve; the next one of the same thread does.
    let begun = Arc::new(OnceLock::new());
    let passed = Arc::clone(&begun);
    let lookups = Lookups::by(move |name| {
        if name == "broken" {
            passed.set(()).expect("once");
            panic!("on purpose");
        }
        Ok(vec![HERE])
    });
    let broken = lookups.find(None, "broken", 80);
    begun.wait();
    assert!(broken.await.is_err());
    assert!(lookups.find(None, "shop.example", 80).await.is_ok());
}
