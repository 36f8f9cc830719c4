//! A transaction as the bytes of one send.
//!
//! The kernel applies the messages between `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END` of one
//! send as one transaction, or not at all (`nfnetlink_rcv_batch`, `net/netfilter/nfnetlink.c`).
//! Every message has its own sequence number, by which an error names the operation at fault.

use std::borrow::Borrow;
use std::sync::Arc;

use kpx_netlink::message::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST};
use kpx_netlink::{Message, MessageStart, Messages, Writer};

use crate::element::NFTA_SET_ELEM_LIST_ELEMENTS;
use crate::message::{
    self, NFNL_BATCH_GENID, NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END, NFT_MSG_DELCHAIN,
    NFT_MSG_DELRULE, NFT_MSG_DELSET, NFT_MSG_DELSETELEM, NFT_MSG_DELTABLE, NFT_MSG_NEWCHAIN,
    NFT_MSG_NEWRULE, NFT_MSG_NEWSET, NFT_MSG_NEWSETELEM, NFT_MSG_NEWTABLE,
};
use crate::{Elements, Name, Object, Operation, Rule, Set, Table, Verb};

/// A transaction ready to be sent.
#[derive(Clone, Debug)]
pub struct Batch {
    writer: Writer,
    generation: Option<u32>,
    /// The messages between begin and end; the first has the sequence number 1.
    messages: Vec<MessageOrigin>,
    operations: Vec<OperationOrigin>,
}

/// Where a message comes from.
#[derive(Clone, Copy, Debug)]
struct MessageOrigin {
    /// The position of the message in the batch.
    start: usize,
    /// The index of the operation in the transaction.
    operation: usize,
    /// The index of the message's first element in the operation.
    first_element: usize,
}

/// What is remembered of an operation to name it when it fails.
#[derive(Clone, Debug)]
pub(crate) struct OperationOrigin {
    pub(crate) verb: Verb,
    pub(crate) keyword: &'static str,
    pub(crate) table: Table,
    pub(crate) name: Name,
    /// The set, of elements.
    pub(crate) set: Option<Arc<Set>>,
}

/// A message of a batch found by its sequence number.
#[derive(Clone, Debug)]
pub(crate) struct Located<'a> {
    pub(crate) message: Message<'a>,
    pub(crate) operation: usize,
    pub(crate) first_element: usize,
    pub(crate) origin: &'a OperationOrigin,
}

impl Batch {
    /// Encodes operations as they come, none of which is needed once the next one does. If a
    /// generation is given, the kernel applies the batch only while its ruleset still has that
    /// generation.
    ///
    /// # Errors
    ///
    /// The first error among the operations.
    pub fn encode<O: Borrow<Operation>, E>(
        operations: impl IntoIterator<Item = Result<O, E>>,
        generation: Option<u32>,
    ) -> Result<Self, E> {
        let mut batch = Self {
            writer: Writer::new(),
            generation,
            messages: Vec::new(),
            operations: Vec::new(),
        };
        let begin = message::begin_batch(&mut batch.writer, NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, 0);
        if let Some(generation) = generation {
            batch.writer.put_be32(NFNL_BATCH_GENID, generation);
        }
        batch.writer.end_message(begin);
        for operation in operations {
            batch.put_operation(operation?.borrow());
        }
        let sequence = batch.next_sequence();
        let end = message::begin_batch(
            &mut batch.writer,
            NFNL_MSG_BATCH_END,
            NLM_F_REQUEST,
            sequence,
        );
        batch.writer.end_message(end);
        Ok(batch)
    }

    /// The datagram: it must be sent in one piece.
    pub fn bytes(&self) -> &[u8] {
        self.writer.as_bytes()
    }

    /// Whether there is nothing to do.
    pub const fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The generation the batch is based on.
    pub const fn generation(&self) -> Option<u32> {
        self.generation
    }

    /// The message with a sequence number; `None` for the batch's own begin and end.
    pub(crate) fn locate(&self, sequence: u32) -> Option<Located<'_>> {
        let index = usize::try_from(sequence.checked_sub(1)?).ok()?;
        let origin = self.messages.get(index)?;
        Some(Located {
            message: Messages::new(self.bytes().get(origin.start..)?).next()?,
            operation: origin.operation,
            first_element: origin.first_element,
            origin: self.operations.get(origin.operation)?,
        })
    }

    fn put_operation(&mut self, operation: &Operation) {
        let Operation { verb, object } = operation;
        self.operations.push(OperationOrigin {
            verb: *verb,
            keyword: object.keyword(),
            table: object.table().clone(),
            name: object.name().clone(),
            set: match object {
                Object::Elements(elements) => Some(Arc::clone(&elements.set)),
                _ => None,
            },
        });
        match object {
            Object::Table(table) => {
                let kind = match verb {
                    Verb::Add => NFT_MSG_NEWTABLE,
                    Verb::Delete | Verb::Flush => NFT_MSG_DELTABLE,
                };
                self.put_message(kind, *verb, table, |writer| table.emit(writer));
            }
            Object::Chain(chain) => match verb {
                Verb::Add => self.put_message(NFT_MSG_NEWCHAIN, *verb, &chain.table, |writer| {
                    chain.emit(writer);
                }),
                Verb::Delete => self.put_message(NFT_MSG_DELCHAIN, *verb, &chain.table, |writer| {
                    chain.emit_reference(writer);
                }),
                Verb::Flush => self.put_message(NFT_MSG_DELRULE, *verb, &chain.table, |writer| {
                    Rule::emit_chain(&chain.table, &chain.name, writer);
                }),
            },
            Object::Rule(rule) => {
                self.put_message(NFT_MSG_NEWRULE, *verb, &rule.table, |writer| {
                    rule.emit(writer);
                });
            }
            Object::Jumps(rule) => {
                self.put_message(NFT_MSG_DELRULE, *verb, &rule.table, |writer| {
                    rule.emit_reference(writer);
                });
            }
            Object::Set(set) => {
                // A number that no other set of the batch has.
                let id = self.next_sequence();
                match verb {
                    Verb::Add => self.put_message(NFT_MSG_NEWSET, *verb, &set.table, |writer| {
                        set.emit(writer, id);
                    }),
                    Verb::Delete => self.put_message(NFT_MSG_DELSET, *verb, &set.table, |writer| {
                        set.emit_reference(writer);
                    }),
                    // Without a list of elements all are deleted.
                    Verb::Flush => {
                        self.put_message(NFT_MSG_DELSETELEM, *verb, &set.table, |writer| {
                            set.emit_reference(writer);
                        });
                    }
                }
            }
            Object::Elements(elements) => self.put_elements(*verb, elements),
        }
    }

    fn put_message(
        &mut self,
        kind: u8,
        verb: Verb,
        table: &Table,
        payload: impl FnOnce(&mut Writer),
    ) {
        let start = self.begin(kind, verb, table, 0);
        payload(&mut self.writer);
        self.writer.end_message(start);
    }

    /// Spreads elements over as many messages as the bound of an attribute makes necessary.
    fn put_elements(&mut self, verb: Verb, Elements { set, elements }: &Elements) {
        let kind = match verb {
            Verb::Add => NFT_MSG_NEWSETELEM,
            Verb::Delete | Verb::Flush => NFT_MSG_DELSETELEM,
        };
        let mut next = 0;
        while next < elements.len() {
            let first = next;
            let start = self.begin(kind, verb, &set.table, first);
            set.emit_reference(&mut self.writer);
            let list = self.writer.open(NFTA_SET_ELEM_LIST_ELEMENTS);
            for element in &elements[first..] {
                let length = self.writer.len();
                match verb {
                    Verb::Add => element.emit(&mut self.writer, set),
                    Verb::Delete | Verb::Flush => element.emit_reference(&mut self.writer, set),
                }
                if self.writer.nested_length(&list) > Writer::MAX_ATTRIBUTE && next > first {
                    self.writer.truncate(length);
                    break;
                }
                next += 1;
            }
            self.writer.close(list);
            self.writer.end_message(start);
        }
    }

    fn begin(&mut self, kind: u8, verb: Verb, table: &Table, first_element: usize) -> MessageStart {
        let flags = match (verb, kind) {
            (Verb::Add, NFT_MSG_NEWRULE) => NLM_F_REQUEST | NLM_F_CREATE | NLM_F_APPEND,
            (Verb::Add, _) => NLM_F_REQUEST | NLM_F_CREATE,
            (Verb::Delete | Verb::Flush, _) => NLM_F_REQUEST,
        };
        let sequence = self.next_sequence();
        self.messages.push(MessageOrigin {
            start: self.writer.len(),
            operation: self.operations.len() - 1,
            first_element,
        });
        message::begin(&mut self.writer, kind, flags, table.family as u8, sequence)
    }

    fn next_sequence(&self) -> u32 {
        u32::try_from(self.messages.len() + 1).unwrap_or(u32::MAX)
    }
}
