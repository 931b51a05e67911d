// A workflow that tries each task three times and then goes on.

import { write as log } from 'formwork:log/log@0.1.0';

const TRIES = 3;
const PAUSE_MS = 5000n;

export const workflow = {
  /** The task list of a machine: each stage, its boot environment, its tasks. */
  plan({ workflow, stages }) {
    if (workflow === undefined) return stages.flatMap((stage) => stage.tasks);
    return stages.flatMap((stage) => [
      `stage:${stage.name}`,
      ...(stage.bootenv ? [`bootenv:${stage.bootenv}`] : []),
      ...stage.tasks,
    ]);
  },

  /** What follows the end of a job. */
  afterJob({ task, state, attempt }) {
    if (state === 'finished') return { tag: 'advance' };
    if (state === 'incomplete') return { tag: 'stop', val: `task ${task} is incomplete` };
    if (attempt + 1 < TRIES) return { tag: 'retry-after-ms', val: PAUSE_MS };
    log('warn', `task ${task} failed ${TRIES} times and is left behind`);
    return { tag: 'advance' };
  },
};
