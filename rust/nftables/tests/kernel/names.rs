//! The names of what anybody has made.

use crate::namespace::{in_namespace, nft};

#[test]
fn names_of_all_families_are_listed() {
    in_namespace(|mut client| {
        assert!(client.table_names().unwrap().is_empty());
        assert!(client.chain_names().unwrap().is_empty());
        nft(
            &["-f", "-"],
            "table ip kube-proxy { chain services { }; }
             table ip6 kube-proxy { chain services { }; }
             table inet other { chain one { type filter hook input priority 0; policy drop; }; }
             table netdev empty { }",
        );
        let tables = client.table_names().unwrap();
        assert!(tables.iter().eq(["empty", "kube-proxy", "other"]));
        let chains = client.chain_names().unwrap();
        let pairs = chains.iter().map(|(table, chain)| (&**table, &**chain));
        assert!(pairs.eq([("kube-proxy", "services"), ("other", "one")]));
    });
}
