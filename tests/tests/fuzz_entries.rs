//! The entries of the fuzz targets on random bytes.
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn frames(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        tests::entry::frames(&bytes);
    }
}
proptest! {
    #![proptest_config(ProptestConfig { cases: 20000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn netlink(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        tests::entry::netlink(&bytes);
    }
}
proptest! {
    #![proptest_config(ProptestConfig { cases: 20000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn documents(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        tests::entry::documents(&bytes);
    }
}
proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn toml(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        tests::entry::toml(&bytes);
    }
}
proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn socket(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        tests::entry::socket(&bytes);
    }
}
