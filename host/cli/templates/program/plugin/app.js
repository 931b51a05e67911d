// Gives machines the action `greet` and notes each machine that is created.

import { write as log } from 'formwork:log/log@0.1.0';

export const plugin = {
  describe() {
    return {
      name: '@NAME@',
      version: '0.1.0',
      displayName: '@NAME@',
      documentation: 'Says hello to machines.',
      actions: [{ name: 'greet', model: 'machines', requiredParams: [], optionalParams: ['@NAME@/name'] }],
      events: ['machines.create.*'],
      requiredParams: [],
      optionalParams: [],
      autoStart: true,
    };
  },

  /** Answers an action with JSON. */
  act({ object, params }) {
    const machine = JSON.parse(object);
    log('info', `greeted ${machine.Name}`);
    return JSON.stringify(`hello ${JSON.parse(params)['@NAME@/name'] ?? machine.Name}`);
  },

  /** Takes in one event. What is thrown has it delivered again later. */
  onEvent({ key, object }) {
    log('info', `machine ${JSON.parse(object).Name ?? key} was created`);
  },
};
