//! Messages: a question read, an answer written (RFC 1035, 4; RFC 6891).

mod reply;

pub(crate) use reply::{UpstreamQuery, is_truncated};

use crate::Name;
use crate::lookup::{Answer, Rcode};
use crate::records::{Data, RecordSet, RecordType};
use crate::zones::Zones;

const HEADER_LENGTH: usize = 12;
/// What a message over UDP may be without EDNS (RFC 1035, 2.3.4).
const PLAIN_UDP_SIZE: usize = 512;
/// The pointer to the question's name (RFC 1035, 4.1.4).
const QUESTION_POINTER: [u8; 2] = [0xc0, 0x0c];
const CLASS_IN: u16 = 1;
/// How large a message of a transfer becomes, before the record that is one too many.
const TRANSFER_SIZE: usize = 16_384;
const OPT_LENGTH: usize = 11;

const RESPONSE: u8 = 0x80;
const AUTHORITATIVE: u8 = 0x04;
const TRUNCATED: u8 = 0x02;
const RECURSION_DESIRED: u8 = 0x01;
const OPCODE: u8 = 0x78;
const RECURSION_AVAILABLE: u8 = 0x80;
const CHECKING_DISABLED: u8 = 0x10;

/// How large an answer may be.
#[derive(Clone, Copy, Debug)]
pub enum Limits {
    /// Over UDP: what the client takes, and no more than this.
    Udp(u16),
    /// Over TCP.
    Tcp,
}

struct Question {
    name: Name,
    record_type: RecordType,
    class: u16,
    /// Where the question ends in the message.
    end: usize,
}

struct Edns {
    udp_size: u16,
    version: u8,
    wants_dnssec: bool,
}

/// An answer, and what of it only another name server can know.
#[derive(Clone, Debug)]
pub struct Response {
    /// The answer as far as the zones go.
    pub message: Vec<u8>,
    /// How it turned out.
    pub rcode: Rcode,
    /// What another name server is to be asked, if the client wishes that.
    pub missing: Option<Missing>,
}

/// What of an answer is in none of the zones.
#[derive(Clone, Debug)]
pub struct Missing {
    target: Option<Name>,
    /// Where the question ends in the message.
    question_end: usize,
    /// How large the answer may be.
    size: usize,
    has_edns: bool,
    wants_dnssec: bool,
    is_checking_disabled: bool,
}

impl Response {
    fn whole(message: Vec<u8>, rcode: Rcode) -> Self {
        let missing = None;
        Self {
            message,
            rcode,
            missing,
        }
    }

    /// Says that the server asks others what it does not know itself.
    pub(crate) fn offer_recursion(&mut self) {
        if let Some(flags) = self.message.get_mut(3) {
            *flags |= RECURSION_AVAILABLE;
        }
    }
}

/// Answers a message. `None` if there is nothing to answer to: it is too short to have an ID, or is
/// an answer itself. `now` is in seconds since 1970; `start` rotates addresses.
pub fn respond(
    zones: &Zones,
    request: &[u8],
    limits: Limits,
    now: u32,
    start: usize,
) -> Option<Response> {
    let header = request.get(..HEADER_LENGTH)?;
    if header[2] & RESPONSE != 0 {
        return None;
    }
    let empty = |rcode| Some(Response::whole(header_alone(header, rcode), rcode));
    if header[2] & OPCODE != 0 {
        return empty(Rcode::NotImp);
    }
    if read_u16(header, 4) != Some(1) {
        return empty(Rcode::FormErr);
    }
    let Some(question) = read_question(request) else {
        return empty(Rcode::FormErr);
    };
    let Some(Rest { edns }) = read_rest(request, question.end) else {
        return empty(Rcode::FormErr);
    };
    let refused = |rcode| Answer {
        rcode,
        ..Answer::default()
    };
    let mut is_missing = false;
    let (answer, is_authoritative) = if edns.as_ref().is_some_and(|edns| edns.version != 0) {
        (refused(Rcode::BadVers), false)
    } else if question.class != CLASS_IN
        || matches!(question.record_type, RecordType::AXFR | RecordType::IXFR)
    {
        (refused(Rcode::Refused), false)
    } else {
        let found = zones.lookup(&question.name, question.record_type, now);
        is_missing = found.as_ref().is_none_or(|answer| answer.outside.is_some());
        let is_authoritative = found.is_some();
        (found.unwrap_or_else(Answer::refused), is_authoritative)
    };
    let size = match (limits, &edns) {
        (Limits::Tcp, _) => usize::from(u16::MAX),
        (Limits::Udp(_), None) => PLAIN_UDP_SIZE,
        (Limits::Udp(most), Some(edns)) => usize::from(edns.udp_size.min(most)).max(PLAIN_UDP_SIZE),
    };
    let rcode = answer.rcode;
    let mut writer = Writer {
        message: Vec::with_capacity(PLAIN_UDP_SIZE),
        size: size - edns.as_ref().map_or(0, |_| OPT_LENGTH),
        question: &question.name,
    };
    writer
        .message
        .extend_from_slice(request.get(..question.end)?);
    writer.write(&answer, is_authoritative, edns.as_ref(), start);
    let mut response = Response::whole(writer.message, rcode);
    let is_truncated = response.message.get(2)? & TRUNCATED != 0;
    if is_missing && header[2] & RECURSION_DESIRED != 0 && !is_truncated {
        response.missing = Some(Missing {
            target: answer.outside,
            question_end: question.end,
            size,
            has_edns: edns.is_some(),
            wants_dnssec: edns.is_some_and(|edns| edns.wants_dnssec),
            is_checking_disabled: header[3] & CHECKING_DISABLED != 0,
        });
    }
    Some(response)
}

/// The messages of a zone transfer (RFC 5936); `None` if a request asks for none, or for a zone that
/// is not served. A request for the difference from another version is answered with all (RFC 1995,
/// 4), or with the SOA record alone where there is none.
pub(crate) fn transfer(zones: &Zones, request: &[u8], now: u32) -> Option<Vec<Vec<u8>>> {
    let header = request.get(..HEADER_LENGTH)?;
    let question = read_question(request)?;
    let is_transfer = matches!(question.record_type, RecordType::AXFR | RecordType::IXFR);
    let is_query = header[2] & (RESPONSE | OPCODE) == 0 && read_u16(header, 4) == Some(1);
    let is_zone = zones.zone_of(&question.name) == Some(&question.name);
    if !(is_transfer && is_query && is_zone && question.class == CLASS_IN && zones.is_complete) {
        return None;
    }
    let known = (question.record_type == RecordType::IXFR)
        .then(|| known_serial(request, question.end))
        .flatten();
    let sets = if known == Some(zones.serial(now)) {
        vec![zones.soa(&question.name, now)]
    } else {
        let mut sets = zones.record_sets(&question.name, now);
        sets.push(sets.first()?.clone());
        sets
    };
    let mut messages = Vec::new();
    let mut writer = Writer::of(request.get(..question.end)?, &question.name);
    let mut count = 0;
    for set in &sets {
        for record in &set.records {
            writer.write_record(&set.owner, set.ttl, &record.data);
            count += 1;
            if writer.message.len() > TRANSFER_SIZE {
                let next = Writer::of(request.get(..question.end)?, &question.name);
                messages.push(std::mem::replace(&mut writer, next).into_message(count));
                count = 0;
            }
        }
    }
    if count > 0 {
        messages.push(writer.into_message(count));
    }
    Some(messages)
}

/// The question of an answer as `TYPE CLASS NAME`, its outcome, and its flags, such as `qr,aa,rd`.
pub(crate) fn describe(answer: &[u8]) -> (String, &'static str, String) {
    let question = read_question(answer).map_or_else(
        || "- - -".to_owned(),
        |question| {
            let class = match question.class {
                CLASS_IN => "IN".to_owned(),
                other => format!("CLASS{other}"),
            };
            format!("{} {class} {}", question.record_type, question.name)
        },
    );
    let [first, second] = [2, 3].map(|at| answer.get(at).copied().unwrap_or_default());
    let flags = [
        (first & RESPONSE, "qr"),
        (first & AUTHORITATIVE, "aa"),
        (first & TRUNCATED, "tc"),
        (first & RECURSION_DESIRED, "rd"),
        (second & RECURSION_AVAILABLE, "ra"),
    ];
    let set: Vec<_> = flags.iter().filter(|(bit, _)| *bit != 0).collect();
    let flags = set.iter().map(|(_, name)| *name).collect::<Vec<_>>();
    let flags = if flags.is_empty() {
        "-".to_owned()
    } else {
        flags.join(",")
    };
    (question, Rcode::of_number(second & 0xf).as_str(), flags)
}

/// The serial that a request for a difference starts from: that of the SOA record in its authority
/// section (RFC 1995, 3).
fn known_serial(request: &[u8], question_end: usize) -> Option<u32> {
    if read_u16(request, 6)? != 0 || read_u16(request, 8)? == 0 {
        return None;
    }
    let fields = skip_name(request, question_end)?;
    if RecordType(read_u16(request, fields)?) != RecordType::SOA {
        return None;
    }
    let at = skip_name(request, skip_name(request, fields.checked_add(10)?)?)?;
    let bytes = request.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

fn header_alone(header: &[u8], rcode: Rcode) -> Vec<u8> {
    let flags = RESPONSE | header[2] & (OPCODE | RECURSION_DESIRED);
    let mut message = vec![header[0], header[1], flags, rcode as u8];
    message.resize(HEADER_LENGTH, 0);
    message
}

/// The pseudo-record of EDNS, version 0 (RFC 6891, 6.1).
fn opt_record(rcode: u8, wants_dnssec: bool) -> [u8; OPT_LENGTH] {
    let do_flag = if wants_dnssec { 0x80 } else { 0 };
    let [high, low] = UDP_SIZE_OFFERED.to_be_bytes();
    [0, 0, 41, high, low, rcode >> 4, 0, do_flag, 0, 0, 0]
}

fn read_u16(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

fn read_question(request: &[u8]) -> Option<Question> {
    let mut end = HEADER_LENGTH;
    loop {
        // A length of 64 or more would be a pointer, of which a question has none.
        let length = usize::from(*request.get(end).filter(|length| **length < 64)?);
        end += 1 + length;
        if end - HEADER_LENGTH > 255 {
            return None;
        }
        if length == 0 {
            break;
        }
    }
    Some(Question {
        name: Name::from_wire(request.get(HEADER_LENGTH..end)?),
        record_type: RecordType(read_u16(request, end)?),
        class: read_u16(request, end + 2)?,
        end: end + 4,
    })
}

/// What follows the question.
struct Rest {
    edns: Option<Edns>,
}

/// Reads what follows the question; `None` if it is malformed.
fn read_rest(request: &[u8], question_end: usize) -> Option<Rest> {
    let count = |at| Some(usize::from(read_u16(request, at)?));
    let before = count(6)? + count(8)?;
    let total = before + count(10)?;
    let mut edns = None;
    let mut at = question_end;
    for number in 0..total {
        let is_root = *request.get(at)? == 0;
        at = skip_name(request, at)?;
        let record_type = RecordType(read_u16(request, at)?);
        if record_type == RecordType::OPT {
            if edns.is_some() || !is_root || number < before {
                return None;
            }
            edns = Some(Edns {
                udp_size: read_u16(request, at + 2)?,
                version: *request.get(at + 5)?,
                wants_dnssec: request.get(at + 6)? & 0x80 != 0,
            });
        }
        at += 10 + usize::from(read_u16(request, at + 8)?);
    }
    (at == request.len()).then_some(Rest { edns })
}

fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..64 => at += 1 + usize::from(length),
            // A pointer ends a name; where it leads does not matter here.
            192.. => return Some(at + 2),
            _ => return None,
        }
    }
}

struct Writer<'a> {
    message: Vec<u8>,
    /// The size that records must keep within.
    size: usize,
    question: &'a Name,
}

impl<'a> Writer<'a> {
    fn of(question: &[u8], name: &'a Name) -> Self {
        Self {
            message: question.to_vec(),
            size: usize::MAX,
            question: name,
        }
    }

    /// The message of so many answers, authoritative.
    fn into_message(mut self, answers: u16) -> Vec<u8> {
        self.message[2] = RESPONSE | AUTHORITATIVE | self.message[2] & RECURSION_DESIRED;
        self.message[3] = 0;
        self.message[6..8].copy_from_slice(&answers.to_be_bytes());
        self.message[8..12].fill(0);
        self.message
    }

    fn write(
        &mut self,
        answer: &Answer,
        is_authoritative: bool,
        edns: Option<&Edns>,
        start: usize,
    ) {
        let mut counts = [0_u16; 3];
        let is_whole = answer
            .answer
            .iter()
            .all(|set| self.write_set(set, start, &mut counts[0]))
            && answer
                .authority
                .iter()
                .all(|set| self.write_set(set, 0, &mut counts[1]));
        if is_whole {
            // What does not fit here is no loss: clients ask for it. A part of a set would be one
            // (RFC 2181, 9).
            for set in &answer.additional {
                let (before, count) = (self.message.len(), counts[2]);
                if !self.write_set(set, start, &mut counts[2]) {
                    self.message.truncate(before);
                    counts[2] = count;
                    break;
                }
            }
        }
        let mut flags = RESPONSE | self.message[2] & RECURSION_DESIRED;
        if is_authoritative {
            flags |= AUTHORITATIVE;
        }
        if !is_whole {
            flags |= TRUNCATED;
        }
        let rcode = answer.rcode as u8;
        if let Some(edns) = edns {
            counts[2] += 1;
            let opt = opt_record(rcode, edns.wants_dnssec);
            self.message.extend_from_slice(&opt);
        }
        self.message[2] = flags;
        self.message[3] = rcode & 0x0f;
        self.message[4..6].copy_from_slice(&1_u16.to_be_bytes());
        for (place, count) in counts.iter().enumerate() {
            let at = 6 + 2 * place;
            self.message[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
    }

    /// Writes the records of a set that fit; returns whether that is all.
    fn write_set(&mut self, set: &RecordSet, start: usize, count: &mut u16) -> bool {
        let length = set.records.len().max(1);
        let (tail, head) = set.records.split_at(start % length);
        for record in head.iter().chain(tail) {
            let before = self.message.len();
            self.write_record(&set.owner, set.ttl, &record.data);
            if self.message.len() > self.size {
                self.message.truncate(before);
                return false;
            }
            *count += 1;
        }
        true
    }

    fn write_record(&mut self, owner: &Name, ttl: u32, data: &Data) {
        if owner == self.question {
            self.message.extend_from_slice(&QUESTION_POINTER);
        } else {
            self.message.extend_from_slice(owner.as_wire());
        }
        self.put_u16(data.record_type().0);
        self.put_u16(CLASS_IN);
        self.put_u32(ttl);
        let length_at = self.message.len();
        self.put_u16(0);
        match data {
            Data::A(address) => self.message.extend_from_slice(&address.octets()),
            Data::Aaaa(address) => self.message.extend_from_slice(&address.octets()),
            Data::Cname(name) | Data::Ptr(name) | Data::Ns(name) => {
                self.message.extend_from_slice(name.as_wire());
            }
            Data::Txt(text) => {
                self.message
                    .push(u8::try_from(text.len()).unwrap_or(u8::MAX));
                self.message.extend(text.bytes().take(usize::from(u8::MAX)));
            }
            Data::Srv {
                weight,
                port,
                target,
            } => {
                self.put_u16(0);
                self.put_u16(*weight);
                self.put_u16(*port);
                self.message.extend_from_slice(target.as_wire());
            }
            Data::Soa {
                server,
                mailbox,
                serial,
                minimum,
            } => {
                self.message.extend_from_slice(server.as_wire());
                self.message.extend_from_slice(mailbox.as_wire());
                self.put_u32(*serial);
                for seconds in Data::SOA_TIMES {
                    self.put_u32(seconds);
                }
                self.put_u32(*minimum);
            }
        }
        let length = self.message.len() - length_at - 2;
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        self.message[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
    }

    fn put_u16(&mut self, value: u16) {
        self.message.extend_from_slice(&value.to_be_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.message.extend_from_slice(&value.to_be_bytes());
    }
}

/// The size of UDP messages we take, which passes through the internet unfragmented (DNS flag
/// day 2020).
const UDP_SIZE_OFFERED: u16 = 1232;
