//! What recordings are called, whatever the guest says.

use super::*;

#[test]
fn a_name_that_cannot_be_read_costs_the_name_and_not_the_recording() {
    let fixture = Fixture::new(&[]);
    assert_eq!(
        Answer::from_register(fixture.hypercall(action::TOGGLE, 0x4141_4141, 0)[0]),
        Some(Answer::Start)
    );
    assert!(fixture.files().contains(&"recording_000-rr-snp".to_owned()));
}

#[test]
fn a_name_at_the_end_of_a_page_is_read_although_the_next_page_is_missing() {
    let fixture = Fixture::new(&[]);
    let mut page = vec![b'x'; PAGE as usize];
    page[PAGE as usize - 4..].copy_from_slice(b"end\0");
    fixture.panda().pages.insert(16, page);
    fixture.hypercall(action::TOGGLE, 17 * PAGE - 4, 0);
    assert!(fixture.files().contains(&"end_000-rr-snp".to_owned()));
}

#[test]
fn a_name_that_runs_into_a_missing_page_is_no_name() {
    let fixture = Fixture::new(&[]);
    fixture.panda().pages.insert(16, vec![b'x'; PAGE as usize]);
    fixture.hypercall(action::TOGGLE, 17 * PAGE - 4, 0);
    assert!(fixture.files().contains(&"recording_000-rr-snp".to_owned()));
}

#[test]
fn recordings_are_numbered_and_a_single_one_is_not() {
    let fixture = Fixture::new(&[]);
    for _ in 0..2 {
        fixture.say(action::START, b"a\0");
        fixture.say(action::STOP, b"");
    }
    assert!(fixture.files().contains(&"a_001-rr-snp".to_owned()));
    let single = Fixture::new(&[("nrec", "1")]);
    single.say(action::START, b"a\0");
    assert_eq!(single.panda().quits, 0, "quit before the recording was on disk");
    single.say(action::STOP, b"");
    assert_eq!((single.files().len(), single.panda().quits), (2, 1));
    assert!(single.files().contains(&"a-rr-snp".to_owned()));
}

/// Everything below `path`, with contents.
fn tree(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(tree(&path));
        } else {
            found.insert(path.display().to_string(), fs::read(&path).expect("readable"));
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_hostile_name_never_leaves_the_folder_nor_overwrites(
        name in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            "[./]{0,3}(dir|\\.\\.|etc|a|old|/){1,4}[-.\\x00-\\x1f_]{0,3}(rr2|rr-snp)?".prop_map(String::into_bytes),
        ],
        nrec in prop::bool::ANY,
    ) {
        let fixture = Fixture::new(if nrec { &[("nrec", "1")] } else { &[] });
        for old in ["old-rr-snp", "old_000-rr-snp", "a-rr-nondet.log", "a_000-rr-nondet.log"] {
            fs::write(fixture.dir().join(old), "old").expect("write");
        }
        let before = tree(fixture.around.path());
        prop_assert_eq!(fixture.say(action::START, &name), Some(Answer::Start));
        prop_assert_eq!(fixture.say(action::STOP, b""), Some(Answer::Stop));
        let after = tree(fixture.around.path());
        for (path, old) in &before {
            prop_assert!(path.ends_with("events.jsonl") || after.get(path) == Some(old), "{} has changed", path);
        }
        let dir = fixture.dir().display().to_string();
        let new: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
        prop_assert_eq!(new.len(), 2);
        for path in new {
            let name = path.strip_prefix(&dir).and_then(|name| name.strip_prefix('/'));
            prop_assert!(name.is_some_and(|name| !name.contains('/') && !name.starts_with('.')), "{}", path);
        }
    }

}
