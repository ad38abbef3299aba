//! Groups: lists of steps that flows share.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::host::Limits;
use crate::flow::Action;
use crate::tunnel::GroupId;
use crate::{Group, RefusalCause};

#[derive(Debug, Default)]
pub(super) struct Groups(BTreeMap<GroupId, Arc<[Action]>>);

impl Groups {
    pub(super) fn set(
        &mut self,
        id: GroupId,
        steps: Vec<Action>,
        limits: &Limits,
    ) -> Result<(), RefusalCause> {
        let refused = |errno, message: String| RefusalCause::Kernel { errno, message };
        if !(1..=GROUP_MOST).contains(&id.0) {
            return Err(refused(libc::EINVAL, format!("allowed are groups 1 to {GROUP_MOST}")));
        }
        if names_group(&steps) {
            return Err(refused(libc::EINVAL, "a group names no group".to_owned()));
        }
        let (count, most) = (count(&steps), limits.group_steps);
        if count > most {
            return Err(refused(libc::EMSGSIZE, format!("{count} steps, allowed are {most}")));
        }
        if !self.0.contains_key(&id) && self.0.len() >= limits.groups {
            return Err(RefusalCause::TableFull);
        }
        self.0.insert(id, steps.into());
        Ok(())
    }

    pub(super) fn delete(&mut self, id: GroupId) {
        self.0.remove(&id);
    }

    pub(super) fn steps(&self, id: GroupId) -> Option<Arc<[Action]>> {
        self.0.get(&id).cloned()
    }

    pub(super) fn all(&self) -> Vec<Group> {
        self.0.iter().map(|(id, steps)| (*id, Some(steps.to_vec()))).collect()
    }
}

fn names_group(steps: &[Action]) -> bool {
    let is_or_has =
        |step: &Action| matches!(step, Action::Group(_)) || step.inner().into_iter().any(names_group);
    steps.iter().any(is_or_has)
}

/// Steps, those inside of others among them.
fn count(steps: &[Action]) -> usize {
    let inside = |step: &Action| step.inner().into_iter().map(count).sum::<usize>();
    steps.iter().map(|step| 1 + inside(step)).sum()
}

const GROUP_MOST: u32 = (1 << 24) - 1;
