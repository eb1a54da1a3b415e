//! Published ports of a service, in all of Compose's forms. Pure.

use crate::discover::yaml::{Kind, Node, Place};

/// One container port and where the host shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The host's address; `None`: all of them.
    pub ip: Option<String>,
    pub host: HostPort,
    /// The port inside the container.
    pub target: u16,
    pub place: Place,
}

/// The host's side of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPort {
    Fixed(u16),
    /// Docker takes a free one of these.
    OneOf(u16, u16),
    /// Docker takes any free one.
    Any,
}

/// The TCP ports of a `ports:` list, and what could not be read of it.
#[must_use]
pub fn ports(list: &Node) -> (Vec<Port>, Vec<(Place, String)>) {
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for item in list.items() {
        let read = match &item.kind {
            Kind::Text(text) => short(text, item.place),
            Kind::Map(_) => long(item),
            Kind::Broken(why) => Err(why.clone()),
            Kind::Null | Kind::List(_) => Err("a port is neither a text nor a map".to_owned()),
        };
        match read {
            Ok(ports) => {
                for port in ports {
                    let same = |p: &Port| p.target == port.target && p.host == port.host && p.ip == port.ip;
                    if !found.iter().any(same) {
                        found.push(port);
                    }
                }
            }
            Err(why) => faults.push((item.place, why)),
        }
    }
    (found, faults)
}

/// `[ip:][host:]target[/protocol]`, each port also a range.
fn short(text: &str, place: Place) -> Result<Vec<Port>, String> {
    let (address, protocol) = text.trim().rsplit_once('/').unwrap_or((text.trim(), "tcp"));
    if protocol != "tcp" {
        return Ok(Vec::new());
    }
    let (ip, rest) = match address.strip_prefix('[').and_then(|r| r.split_once("]:")) {
        Some((ip, rest)) => (ip, rest),
        None => match address.rmatch_indices(':').nth(1) {
            Some((i, _)) => (address.get(..i).unwrap_or_default(), address.get(i + 1..).unwrap_or_default()),
            None => ("", address),
        },
    };
    let (host, target) = rest.split_once(':').map_or((None, rest), |(host, target)| (Some(host), target));
    all(ip, host.filter(|h| !h.is_empty()), target, place)
}

fn long(item: &Node) -> Result<Vec<Port>, String> {
    let word = |key: &str| item.get(key).and_then(|n| n.text());
    if word("protocol").is_some_and(|p| p != "tcp") {
        return Ok(Vec::new());
    }
    let target = word("target").ok_or("a port has no target")?;
    all(word("host_ip").unwrap_or_default(), word("published").filter(|p| !p.is_empty()), target, item.place)
}

fn all(ip: &str, host: Option<&str>, target: &str, place: Place) -> Result<Vec<Port>, String> {
    let ip = Some(ip.trim_matches(['[', ']'])).filter(|ip| !matches!(*ip, "" | "0.0.0.0" | "::" | "*"));
    let (first, last) = range(target)?;
    let host = host.map(range).transpose()?;
    let count = last - first;
    let mut out = Vec::new();
    // Long ranges are cut: nobody puts a database on the two hundredth.
    for i in 0..=count.min(200) {
        let host = match host {
            None => HostPort::Any,
            Some((from, to)) if from == to && count == 0 => HostPort::Fixed(from),
            Some((from, to)) if to - from == count => HostPort::Fixed(from + i),
            Some((from, to)) if count == 0 => HostPort::OneOf(from, to),
            Some(_) => return Err("the two ranges of a port differ in length".to_owned()),
        };
        out.push(Port { ip: ip.map(str::to_owned), host, target: first + i, place });
    }
    Ok(out)
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let port = |t: &str| t.trim().parse::<u16>().ok().filter(|p| *p > 0).ok_or("a port is no number from 1 to 65535");
    let (from, to) = (port(from)?, port(to)?);
    if from > to { Err("a range of ports goes backwards".to_owned()) } else { Ok((from, to)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::yaml;

    fn read(list: &str) -> Vec<(Option<String>, HostPort, u16)> {
        let (found, faults) = ports(&yaml::read(list, 0).unwrap()[0]);
        assert!(faults.is_empty(), "{faults:?}");
        found.into_iter().map(|p| (p.ip, p.host, p.target)).collect()
    }

    #[test]
    fn every_form_of_a_port() {
        use HostPort::{Any, Fixed, OneOf};
        let ip = |s: &str| Some(s.to_owned());
        for (written, found) in [
            ("['5432']", vec![(None, Any, 5432)]),
            ("[5432]", vec![(None, Any, 5432)]),
            ("['5433:5432']", vec![(None, Fixed(5433), 5432)]),
            ("[5433:5432]", vec![(None, Fixed(5433), 5432)]),
            ("['127.0.0.1:5433:5432']", vec![(ip("127.0.0.1"), Fixed(5433), 5432)]),
            ("['0.0.0.0:5433:5432']", vec![(None, Fixed(5433), 5432)]),
            ("['127.0.0.1::5432']", vec![(ip("127.0.0.1"), Any, 5432)]),
            ("['[::1]:5433:5432']", vec![(ip("::1"), Fixed(5433), 5432)]),
            ("['::1:5433:5432']", vec![(ip("::1"), Fixed(5433), 5432)]),
            ("['5433:5432/tcp']", vec![(None, Fixed(5433), 5432)]),
            ("['5433:5432/udp']", vec![]),
            ("['15432-15434:5432-5434']", (0..3).map(|i| (None, Fixed(15432 + i), 5432 + i)).collect()),
            ("['15432-15440:5432']", vec![(None, OneOf(15432, 15440), 5432)]),
            ("[{target: 5432, published: 5433}]", vec![(None, Fixed(5433), 5432)]),
            (
                "[{target: 5432, published: '5433', host_ip: 127.0.0.1, mode: host}]",
                vec![(ip("127.0.0.1"), Fixed(5433), 5432)],
            ),
            ("[{target: 5432, published: 6000-6002}]", vec![(None, OneOf(6000, 6002), 5432)]),
            ("[{target: 5432, protocol: udp}]", vec![]),
            ("[{target: 5432}]", vec![(None, Any, 5432)]),
            ("['5433:5432', '5433:5432']", vec![(None, Fixed(5433), 5432)]),
        ] {
            assert_eq!(read(written), found, "{written}");
        }
    }

    #[test]
    fn what_is_no_port_is_said() {
        for written in ["['x:5432']", "['70000:5432']", "['5-4:5']", "['1-3:5-6']", "[{published: 1}]", "[[1]]", "['']"]
        {
            assert_eq!(ports(&yaml::read(written, 0).unwrap()[0]).1.len(), 1, "{written}");
        }
    }
}
