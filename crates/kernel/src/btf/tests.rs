use super::*;

/// Writes BTF, type by type.
#[derive(Default)]
pub(crate) struct Writer {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

impl Writer {
    fn string(&mut self, text: &str) -> u32 {
        if self.strings.is_empty() {
            self.strings.push(0);
        }
        if text.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(text.bytes().chain([0]));
        at
    }

    /// Adds a type; returns its number.
    pub(crate) fn add(&mut self, name: &str, kind: u32, parts: u32, size: u32, more: &[u32]) -> Id {
        let name = self.string(name);
        self.types
            .extend([name, kind << 24 | parts, size].iter().chain(more).flat_map(|word| word.to_le_bytes()));
        self.count += 1;
        self.count
    }

    pub(crate) fn int(&mut self, name: &str, bytes: u32) -> Id {
        self.add(name, 1, 0, bytes, &[bytes * 8])
    }

    pub(crate) fn array(&mut self, of: Id, count: u32) -> Id {
        self.add("", 3, 0, 0, &[of, 0, count])
    }

    /// Adds a structure with members at offsets in bytes.
    pub(crate) fn structure(&mut self, name: &str, size: u32, members: &[(&str, Id, u32)]) -> Id {
        let more: Vec<u32> =
            members.iter().flat_map(|&(name, of, offset)| [self.string(name), of, offset * 8]).collect();
        self.add(name, 4, members.len() as u32, size, &more)
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.string("");
        let mut bytes = MAGIC.to_vec();
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        bytes.extend([HEADER as u32, 0, types, types, strings].iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(self.types);
        bytes.extend(self.strings);
        bytes
    }
}

fn member(types: &Types<'_>, name: &str, path: &str) -> Option<(u64, Option<u64>)> {
    types.member_of(types.composite(name)?, path).map(|member| (member.offset, member.size))
}

#[test]
fn members_are_found_through_names_qualifiers_and_anonymous_structures() {
    let mut btf = Writer::default();
    let int = btf.int("int", 4);
    let constant = btf.add("", 10, 0, int, &[]);
    let named = btf.add("pid_t", 8, 0, constant, &[]);
    let pointer = btf.add("", 2, 0, int, &[]);
    let letters = btf.array(int, 4);
    let inner = btf.structure("", 12, &[("a", named, 0), ("b", pointer, 4)]);
    btf.structure("path", 16, &[("mnt", pointer, 0), ("dentry", pointer, 8)]);
    let path = 7;
    btf.structure("file", 64, &[("", inner, 8), ("f_path", path, 24), ("name", letters, 40)]);
    let bytes = btf.finish();
    let types = Types::read(&bytes, 8).expect("reads");
    assert_eq!(member(&types, "file", "a"), Some((8, Some(4))));
    assert_eq!(member(&types, "file", "b"), Some((12, Some(8))));
    assert_eq!(member(&types, "file", "f_path.dentry"), Some((32, Some(8))));
    assert_eq!(member(&types, "file", "name"), Some((40, Some(16))));
    assert_eq!(member(&types, "file", "f_path.nothing"), None);
    assert_eq!(member(&types, "file", "a.b"), None);
    assert_eq!(types.composite("file").and_then(|id| types.size(id)), Some(64));
    assert_eq!(find(&[b"before".as_slice(), &bytes, b"after"].concat()), Some(&*bytes));
}

#[test]
fn bit_fields_count_as_members_only_if_they_are_whole_bytes() {
    let mut btf = Writer::default();
    let int = btf.int("int", 4);
    let flags = 1 << 7;
    let (early, late, whole) = (btf.string("early"), btf.string("late"), btf.string("whole"));
    let more = [early, int, 3 << 24, late, int, 3 << 24 | 3, whole, int, 16 << 24 | 16];
    btf.add("flags", 4 | flags, 3, 8, &more);
    let bytes = btf.finish();
    let types = Types::read(&bytes, 8).expect("reads");
    assert_eq!(member(&types, "flags", "early"), None);
    assert_eq!(member(&types, "flags", "late"), None);
    assert_eq!(member(&types, "flags", "whole"), Some((2, Some(2))));
}

#[test]
fn types_that_name_themselves_end_the_search() {
    let mut btf = Writer::default();
    let own = btf.add("loop", 8, 0, 1, &[]);
    btf.array(2, 2);
    // An anonymous member of its own type, many times: an exponential number of ways.
    let members: Vec<_> = (0..100).map(|_| ("", 3, 0)).collect();
    btf.structure("maze", 8, &members);
    let bytes = btf.finish();
    let types = Types::read(&bytes, 8).expect("reads");
    assert_eq!((types.resolve(own), types.size(own), types.size(2)), (None, None, None));
    assert_eq!(member(&types, "maze", "exit"), None);
}

#[test]
fn types_that_are_cut_short_or_unknown_are_refused() {
    let mut btf = Writer::default();
    btf.int("int", 4);
    let bytes = btf.finish();
    for end in 0..bytes.len() {
        assert!(Types::read(&bytes[..end], 8).is_err(), "{end}");
    }
    let mut btf = Writer::default();
    btf.add("new", 25, 0, 0, &[]);
    assert!(matches!(Types::read(&btf.finish(), 8), Err(BtfError::Kind { id: 1, kind: 25 })));
}
