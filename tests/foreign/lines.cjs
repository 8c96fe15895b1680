// One question a line in, one answer a line out, both JSON: {"ask": name, "with": value}, then {"is": value} or
// {"error": text}. Questions are answered one after the other.
'use strict';
const readline = require('node:readline');

module.exports = async function serve(answers) {
  // Packages that print must not print between the answers.
  console.log = console.info = console.warn = () => {};
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { ask, with: value } = JSON.parse(line);
    let answer;
    try {
      answer = { is: (await answers[ask](value)) ?? null };
    } catch (error) {
      answer = { error: String(error?.message ?? error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
};
