use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{Reactor, Wake};
use std::io::{Read, Write};

#[test]
fn fibers_sleep_side_by_side() {
    let reactor = Reactor::new().unwrap();
    let order = Rc::new(RefCell::new(Vec::new()));
    for (name, ms) in [("b", 20), ("a", 5), ("c", 40)] {
        let (loop_, order) = (Rc::clone(&reactor), Rc::clone(&order));
        let due = Instant::now() + Duration::from_millis(ms);
        reactor
            .spawn(move || {
                assert_eq!(loop_.park(Some(due)), Wake::Due);
                assert!(Instant::now() >= due);
                order.borrow_mut().push(name);
            })
            .unwrap();
    }
    reactor.run().unwrap();
    assert_eq!(*order.borrow(), ["a", "b", "c"]);
    assert!(reactor.take_lag().0.count >= 6);
}

#[test]
fn a_socket_wakes_who_waits_for_it_and_a_deadline_does_too() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::thread::sleep(Duration::from_millis(50));
        stream.write_all(b"hello").unwrap();
        stream
    });
    let reactor = Reactor::new().unwrap();
    let inner = Rc::clone(&reactor);
    reactor
        .spawn(move || {
            let mut stream = mio::net::TcpStream::connect(address).unwrap();
            let id = inner.watch(&mut stream).unwrap();
            assert_eq!(inner.writable(id, None), Wake::Ready);
            let soon = Instant::now() + Duration::from_millis(5);
            assert_eq!(inner.readable(id, Some(soon)), Wake::Due);
            assert_eq!(inner.readable(id, Some(soon + Duration::from_secs(9))), Wake::Ready);
            let mut buffer = [0; 16];
            assert_eq!(stream.read(&mut buffer).unwrap(), 5);
            inner.forget(id, &mut stream);
        })
        .unwrap();
    reactor.run().unwrap();
    drop(peer.join().unwrap());
}

#[test]
fn a_parked_fiber_is_woken_by_another() {
    let reactor = Reactor::new().unwrap();
    let (first, second) = (Rc::clone(&reactor), Rc::clone(&reactor));
    let parked = reactor.spawn(move || assert_eq!(first.park(None), Wake::Stop)).unwrap();
    reactor
        .spawn(move || {
            second.pause();
            second.wake(parked, Wake::Stop);
        })
        .unwrap();
    reactor.run().unwrap();
}
