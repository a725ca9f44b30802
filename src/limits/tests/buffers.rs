//! The buffers under any order of takes and returns: the ceiling, the shares, and that all comes back.

use super::*;
use proptest::prelude::*;

const MIB: u64 = 1 << 20;

fn tenants(buffers: &Arc<Buffers>, count: usize) -> Vec<Arc<Account>> {
    buffers.share_among(count);
    let spec = LimitSpec::default();
    let account = |_| Account::sharing(buffers, &spec, START);
    (0..count).map(account).collect()
}

/// A lease of so many bytes, if there is room.
fn lease(account: &Arc<Account>, bytes: u64) -> Result<Lease, Full> {
    let mut lease = account.lease();
    lease.grow_to(bytes).map(|()| lease)
}

/// As many leases of one MiB as there is room for.
fn flood(account: &Arc<Account>) -> Vec<Lease> {
    let mut held = Vec::new();
    while let Ok(lease) = lease(account, MIB) {
        held.push(lease);
    }
    held
}

#[test]
fn one_tenant_has_it_all() {
    let buffers = Buffers::new(8 * MIB);
    let alone = &tenants(&buffers, 1)[0];
    assert_eq!(flood(alone).len(), 8);
    assert_eq!(lease(alone, 8 * MIB + 1).unwrap_err(), Full::Ever(8 * MIB));
}

#[test]
fn the_greedy_share_the_rest_and_leave_some() {
    let buffers = Buffers::new(160 * MIB);
    let all = tenants(&buffers, 4);
    // 10 MiB are each tenant's own, and 120 are lent.
    let first = flood(&all[0]);
    assert_eq!(first.len(), 10 + 60);
    let second = flood(&all[1]);
    assert_eq!(second.len(), 10 + 30);
    drop(first);
    let first = flood(&all[0]);
    assert_eq!(
        first.len(),
        10 + 45,
        "what the second has is not taken away"
    );
    assert_eq!(flood(&all[2]).len(), 10 + 22);
    assert_eq!(lease(&all[2], 70 * MIB).unwrap_err(), Full::Now);
    assert_eq!(lease(&all[2], 71 * MIB).unwrap_err(), Full::Ever(70 * MIB));
    assert_eq!(all[0].fits(MIB), Err(Full::Now));
    assert_eq!(all[3].fits(10 * MIB), Ok(()));
    drop((first, second));
    assert_eq!(buffers.held(), 0);
}

#[test]
fn what_does_not_fit_takes_nothing_and_a_lease_stays_as_it_was() {
    let buffers = Buffers::new(8 * MIB);
    let alone = &tenants(&buffers, 1)[0];
    let mut lease = lease(alone, 5 * MIB).unwrap();
    let _rest = flood(alone);
    assert_eq!(lease.grow_to(6 * MIB), Err(Full::Now));
    assert_eq!((lease.bytes(), buffers.held()), (5 * MIB, 8 * MIB));
    assert_eq!(lease.grow_to(MIB), Ok(()), "it never shrinks");
    assert_eq!(lease.bytes(), 5 * MIB);
}

#[test]
fn a_panic_gives_back() {
    let buffers = Buffers::new(8 * MIB);
    let alone = Arc::clone(&tenants(&buffers, 1)[0]);
    let broken = std::panic::catch_unwind(move || {
        let _held = lease(&alone, MIB).unwrap();
        panic!("on purpose");
    });
    assert!(broken.is_err());
    assert_eq!(buffers.held(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Take { tenant: usize, bytes: u64 },
    Grow { which: usize, bytes: u64 },
    Drop { which: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..5_usize, 1..40_u64).prop_map(|(tenant, bytes)| Step::Take { tenant, bytes }),
        2 => (0..64_usize, 1..60_u64).prop_map(|(which, bytes)| Step::Grow { which, bytes }),
        2 => (0..64_usize).prop_map(|which| Step::Drop { which }),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #![proptest_config(super::schedules::unrecorded())]

    #[test]
    fn shares_hold_under_any_order(ceiling in 40..400_u64, count in 2..6_usize, steps in steps()) {
        let buffers = Buffers::new(ceiling);
        let all = tenants(&buffers, count);
        let share = ceiling / 4 / count as u64;
        let mut leases: Vec<(usize, Lease)> = Vec::new();
        for step in steps {
            match step {
                Step::Take { tenant, bytes } => {
                    let tenant = tenant % count;
                    let before = all[tenant].held();
                    let taken = lease(&all[tenant], bytes);
                    if before + bytes <= share {
                        prop_assert!(taken.is_ok(), "the share is the tenant's own");
                    }
                    leases.extend(taken.ok().map(|lease| (tenant, lease)));
                }
                Step::Grow { which, bytes } if !leases.is_empty() => {
                    let at = which % leases.len();
                    let before = leases[at].1.bytes();
                    let grown = leases[at].1.grow_to(bytes).is_ok();
                    let expected = if grown { before.max(bytes) } else { before };
                    prop_assert_eq!(leases[at].1.bytes(), expected);
                }
                Step::Drop { which } if !leases.is_empty() => {
                    let _gone = leases.swap_remove(which % leases.len());
                }
                Step::Grow { .. } | Step::Drop { .. } => {}
            }
            let sum: u64 = leases.iter().map(|(_, lease)| lease.bytes()).sum();
            prop_assert_eq!(buffers.held(), sum);
            prop_assert!(sum <= ceiling);
            for (tenant, account) in all.iter().enumerate() {
                let own = leases.iter().filter(|(of, _)| *of == tenant);
                prop_assert_eq!(account.held(), own.map(|(_, lease)| lease.bytes()).sum::<u64>());
            }
        }
        drop(leases);
        prop_assert_eq!(buffers.held(), 0);
        prop_assert!(all.iter().all(|account| account.fits(share).is_ok()));
    }

    /// The number of tenants changes with a reload, under load.
    #[test]
    fn the_ceiling_holds_whoever_comes_and_goes(counts in proptest::collection::vec((1..30_usize, 0..5_usize, 1..200_u64), 1..60)) {
        let buffers = Buffers::new(1000);
        let all = tenants(&buffers, 5);
        let mut leases = Vec::new();
        for (count, tenant, bytes) in counts {
            buffers.share_among(count);
            leases.extend(lease(&all[tenant], bytes).ok());
            prop_assert!(buffers.held() <= 1000);
            if count % 3 == 0 {
                leases.pop();
            }
        }
        drop(leases);
        prop_assert_eq!(buffers.held(), 0);
    }
}
