//! What another name server is asked, and what becomes of its reply.

use super::{
    AUTHORITATIVE, CHECKING_DISABLED, CLASS_IN, HEADER_LENGTH, OPCODE, OPT_LENGTH,
    RECURSION_DESIRED, RESPONSE, Response, TRUNCATED, opt_record, read_question, read_u16,
    skip_name,
};
use crate::lookup::Rcode;
use crate::records::RecordType;

/// The longest name in wire form (RFC 1035, 2.3.4).
const NAME_LENGTH: usize = 255;

/// A question for another name server.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamQuery(Vec<u8>);

impl UpstreamQuery {
    /// The message, with an ID that nobody can guess.
    pub(crate) fn with_id(&self, id: u16) -> Vec<u8> {
        let mut message = self.0.clone();
        message[..2].copy_from_slice(&id.to_be_bytes());
        message
    }

    /// Whether a message is a reply to this question, as it was sent with an ID: anything else may
    /// be made up by somebody who does not see the question (RFC 5452, 9.1).
    pub(crate) fn is_answered_by(&self, id: u16, message: &[u8]) -> bool {
        let Some(header) = message.get(..HEADER_LENGTH) else {
            return false;
        };
        let is_reply = header[2] & RESPONSE != 0 && header[2] & OPCODE == 0;
        let has_question = read_u16(header, 4) == Some(1);
        let end = read_question(&self.0).map_or(HEADER_LENGTH, |question| question.end);
        is_reply
            && has_question
            && header[..2] == id.to_be_bytes()
            && message.get(HEADER_LENGTH..end) == self.0.get(HEADER_LENGTH..end)
    }
}

/// Whether a reply is not whole, and has to be asked for over TCP.
pub(crate) fn is_truncated(reply: &[u8]) -> bool {
    reply.get(2).is_some_and(|flags| flags & TRUNCATED != 0)
}

impl Response {
    /// What another name server is to be asked; `None` if nothing is missing.
    pub(crate) fn upstream_query(&self) -> Option<UpstreamQuery> {
        let missing = self.missing.as_ref()?;
        let checking = if missing.is_checking_disabled {
            CHECKING_DISABLED
        } else {
            0
        };
        let additional = u8::from(missing.has_edns);
        let mut query = vec![0, 0, RECURSION_DESIRED, checking, 0, 1];
        query.extend_from_slice(&[0, 0, 0, 0, 0, additional]);
        let question = self.message.get(HEADER_LENGTH..missing.question_end)?;
        match &missing.target {
            None => query.extend_from_slice(question),
            Some(target) => {
                query.extend_from_slice(target.as_wire());
                query.extend_from_slice(question.get(question.len().checked_sub(4)?..)?);
            }
        }
        if missing.has_edns {
            query.extend_from_slice(&opt_record(0, missing.wants_dnssec));
        }
        Some(UpstreamQuery(query))
    }

    /// The answer with what another name server replied; `None` stands for no reply.
    #[must_use]
    pub fn completed(self, reply: Option<&[u8]>) -> Self {
        let mut whole = match reply.and_then(|reply| self.with(reply)) {
            Some(whole) => whole,
            None => self.failed(),
        };
        whole.offer_recursion();
        whole
    }

    fn with(&self, reply: &[u8]) -> Option<Self> {
        let missing = self.missing.as_ref()?;
        let header = reply.get(..HEADER_LENGTH)?;
        let rcode = Rcode::of_number(header[3] & 0xf);
        if missing.target.is_some() {
            return self.with_records_of(reply, rcode);
        }
        if reply.len() <= missing.size {
            let mut message = reply.to_vec();
            message[..2].copy_from_slice(self.message.get(..2)?);
            return Some(Self::whole(message, rcode));
        }
        let mut message = self.bare()?;
        message[2] |= reply[2] & AUTHORITATIVE | TRUNCATED;
        message[3] = rcode as u8;
        Some(Self::whole(message, rcode))
    }

    /// Header and question, and the record of EDNS if the client has sent one.
    fn bare(&self) -> Option<Vec<u8>> {
        let missing = self.missing.as_ref()?;
        let mut message = self.message.get(..missing.question_end)?.to_vec();
        message[2] &= RESPONSE | OPCODE | RECURSION_DESIRED;
        message[3] = 0;
        message[6..HEADER_LENGTH].fill(0);
        if missing.has_edns {
            message[11] = 1;
            message.extend_from_slice(&opt_record(0, missing.wants_dnssec));
        }
        Some(message)
    }

    fn failed(mut self) -> Self {
        if let Some(flags) = self.message.get_mut(3) {
            *flags = *flags & 0xf0 | Rcode::ServFail as u8;
        }
        Self::whole(self.message, Rcode::ServFail)
    }

    /// The aliases that lead out of the zones, then what they lead to.
    fn with_records_of(&self, reply: &[u8], rcode: Rcode) -> Option<Self> {
        let missing = self.missing.as_ref()?;
        let opt_length = if missing.has_edns { OPT_LENGTH } else { 0 };
        let mut message = self.message.clone();
        message.truncate(message.len().checked_sub(opt_length)?);
        let mut counts = [read_u16(&message, 6)?, 0];
        let mut is_truncated = is_truncated(reply);
        'sections: for (section, records) in read_records(reply)?.into_iter().enumerate() {
            // Of the authority, only what says for how long there is nothing.
            let wanted = records
                .into_iter()
                .filter(|record| section == 0 || RecordType(record.record_type) == RecordType::SOA);
            for record in wanted {
                if message.len() + record.bytes.len() + opt_length > missing.size {
                    is_truncated = true;
                    break 'sections;
                }
                message.extend_from_slice(&record.bytes);
                counts[section] += 1;
            }
        }
        for (place, count) in counts.iter().enumerate() {
            message[6 + 2 * place..8 + 2 * place].copy_from_slice(&count.to_be_bytes());
        }
        if is_truncated {
            message[2] |= TRUNCATED;
        }
        message[3] = rcode as u8 & 0xf;
        if missing.has_edns {
            message.extend_from_slice(&opt_record(0, missing.wants_dnssec));
        }
        Some(Self::whole(message, rcode))
    }
}

/// A record without pointers to elsewhere in its message.
struct WholeRecord {
    record_type: u16,
    bytes: Vec<u8>,
}

/// The records of the answer and the authority section; `None` if they are malformed.
fn read_records(message: &[u8]) -> Option<[Vec<WholeRecord>; 2]> {
    let mut at = read_question(message)?.end;
    let mut sections = [Vec::new(), Vec::new()];
    for (section, count_at) in sections.iter_mut().zip([6, 8]) {
        for _ in 0..read_u16(message, count_at)? {
            let (record, end) = read_record(message, at)?;
            at = end;
            section.push(record);
        }
    }
    Some(sections)
}

fn read_record(message: &[u8], at: usize) -> Option<(WholeRecord, usize)> {
    let mut bytes = Vec::new();
    let fields = expand_name(message, at, &mut bytes)?;
    let data = fields.checked_add(10)?;
    let record_type = read_u16(message, fields)?;
    let end = data.checked_add(usize::from(read_u16(message, fields + 8)?))?;
    // Nothing of this record is read beyond its end, except through pointers, which lead back.
    let message = message.get(..end)?;
    bytes.extend_from_slice(message.get(fields..data)?);
    let length_at = bytes.len() - 2;
    let is_internet = read_u16(message, fields + 2)? == CLASS_IN;
    let (before, names) = names_in(if is_internet { record_type } else { 0 });
    let mut at = data.checked_add(before)?;
    bytes.extend_from_slice(message.get(data..at)?);
    for _ in 0..names {
        at = expand_name(message, at, &mut bytes)?;
    }
    bytes.extend_from_slice(message.get(at..)?);
    let length = u16::try_from(bytes.len() - length_at - 2).ok()?;
    bytes[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
    Some((WholeRecord { record_type, bytes }, end))
}

/// Where names stand in the data of a type that may have pointers (RFC 1035, 3.3; RFC 3597, 4; some
/// servers compress later types too): how many bytes come before them, and how many names there are.
const fn names_in(record_type: u16) -> (usize, usize) {
    match record_type {
        // NS, MD, MF, CNAME, MB, MG, MR, PTR, DNAME
        2..=5 | 7..=9 | 12 | 39 => (0, 1),
        // SOA, MINFO, RP
        6 | 14 | 17 => (0, 2),
        // MX, AFSDB, RT, KX
        15 | 18 | 21 | 36 => (2, 1),
        // PX
        26 => (2, 2),
        // SRV
        33 => (6, 1),
        _ => (0, 0),
    }
}

/// Writes a name without pointers; returns where it ends in the message. `None` if it is malformed:
/// pointers lead back only, so that they come to an end.
fn expand_name(message: &[u8], start: usize, name: &mut Vec<u8>) -> Option<usize> {
    let end = skip_name(message, start)?;
    let before = name.len();
    let mut at = start;
    let mut limit = start;
    loop {
        match *message.get(at)? {
            0 => {
                name.push(0);
                break;
            }
            length @ 1..64 => {
                let next = at + 1 + usize::from(length);
                name.extend_from_slice(message.get(at..next)?);
                at = next;
            }
            192.. => {
                let target = usize::from(read_u16(message, at)? & 0x3fff);
                if target >= limit {
                    return None;
                }
                (at, limit) = (target, target);
            }
            _ => return None,
        }
        if name.len() - before >= NAME_LENGTH {
            return None;
        }
    }
    Some(end)
}

#[cfg(test)]
mod tests;
