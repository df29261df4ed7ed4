//! Proxies that speak SOCKS.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use crate::common::{Lab, finish};
use crate::http_server::{HttpServer, Reply};
use crate::swarms::read;

/// Connects to any place (RFC 1928, 1929). Tells what it was asked: user and password, and the host by its name.
fn proxy(server: u16) -> (String, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let bytes = |client: &mut TcpStream, count: u8| {
                let mut bytes = vec![0; count.into()];
                client.read_exact(&mut bytes).unwrap();
                bytes
            };
            let greeting = bytes(&mut client, 2);
            let methods = bytes(&mut client, greeting[1]);
            let mut heard = Vec::new();
            if methods.contains(&2) {
                client.write_all(&[5, 2]).unwrap();
                let _version = bytes(&mut client, 1);
                for _ in ["user", "password"] {
                    let length = bytes(&mut client, 1)[0];
                    heard.extend(bytes(&mut client, length));
                    heard.push(b' ');
                }
                client.write_all(&[1, 0]).unwrap();
            } else {
                client.write_all(&[5, 0]).unwrap();
            }
            let request = bytes(&mut client, 4);
            assert_eq!((request[1], request[3]), (1, 3), "a connection to a name");
            let length = bytes(&mut client, 1)[0];
            heard.extend(bytes(&mut client, length));
            let _port = bytes(&mut client, 2);
            tell.send(heard).unwrap();
            client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
            let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
            let (mut up, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || io::copy(&mut up, &mut { server }));
            std::thread::spawn(move || io::copy(&mut down, &mut { client }));
        }
    });
    (address, told)
}

#[test]
fn names_are_looked_up_by_the_proxy() {
    let lab = Lab::empty();
    let server = HttpServer::start(|_| Reply::all(b"bytes"));
    let (proxy, told) = proxy(server.port());
    for (user, heard, name) in
        [("", "nowhere.invalid", "f"), ("me:s3c%72et@", "me s3cret nowhere.invalid", "g")]
    {
        let mut command = lab.command(["get", &format!("http://nowhere.invalid/{name}")]);
        command
            .env("all_proxy", format!("socks5h://{user}{proxy}"))
            .env_remove("http_proxy")
            .env_remove("no_proxy");
        finish(command).expect(0);
        assert_eq!(read(&lab, name), b"bytes");
        assert_eq!(String::from_utf8(told.recv().unwrap()).unwrap(), heard);
    }
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = format!("socks5h://me:s3cret@{gone}");
    let said = lab.run(["get", &server.url("h"), "--proxy", &proxy]).expect(1);
    assert!(said.stderr.contains(&format!("through the proxy socks5h://{gone}")), "{said:?}");
    assert_eq!(server.heard().len(), 2, "nothing goes past the proxy");
}
