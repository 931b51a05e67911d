// Says hello: the smallest useful task, and the first one to read.

import { write as log } from 'formwork:log/log@0.1.0';
import { read, write } from 'formwork:params/params@0.2.0';

export const task = {
  run({ machine }) {
    try {
      const message = greeting(param('greet/name') ?? machine.name, param('inventory/cpu'));
      log('info', message);
      write('greet/message', JSON.stringify(message));
      return { tag: 'done' };
    } catch (error) {
      const refused = error.payload; // by the host: a variant, such as `not-granted` with the name
      throw { code: 'error', message: refused ? `${refused.tag}: ${refused.val}` : String(error) };
    }
  },
};

function param(name) {
  return JSON.parse(read(name) ?? 'null');
}

function greeting(name, cpu) {
  if (!cpu?.model) return `hello ${name}`;
  return cpu.threads ? `hello ${name}, ${cpu.threads} threads of ${cpu.model}` : `hello ${name}, ${cpu.model}`;
}
