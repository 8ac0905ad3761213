// Random .prompt files and data, rendered by npm's dotprompt and by promptctl: roles, history, sections, partials, metadata, front matter.
// node dotprompt.js SEED CASES PROMPTCTL DIRECTORY. Prints what differs, and a line that counts.
'use strict';

const { Dotprompt } = require('dotprompt');
const { spawnSync } = require('child_process');
const fs = require('fs');

const [seed, cases, promptctl, directory] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4], process.argv[5]];
let state = seed;

// mulberry32
function random(n) {
	state = (state + 0x6d2b79f5) | 0;
	let t = Math.imul(state ^ (state >>> 15), 1 | state);
	t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
	return ((t ^ (t >>> 14)) >>> 0) % n;
}

const pick = (list) => list[random(list.length)];
const blank = () => pick(['', '', '', ' ', '\n', '\n\n', '  \n', '\t']);

const names = [
	'name', 'list', 'place.town', 'place', 'missing', 'count', 'flag', 'empty', 'this', '@root.name', '@plan', '@caller.id',
	'@metadata.prompt.config.temperature', '@metadata.prompt.model', '@metadata.prompt.ext.acme.level', '@metadata.prompt.raw.model',
	'@metadata.prompt.name', '@metadata.prompt.output.schema.type', '@metadata.messages.length', '@metadata.messages.[0].role', '@metadata.docs',
];

// Two numbers side by side would be added by Handlebars, which joins pieces with JavaScript's +: a comma keeps them apart.
function value() {
	const [open, close] = pick([['{{', '}}'], ['{{~', '}}'], ['{{', '~}}'], ['{{{', '}}}']]);
	return `${open}${pick(names)}${close},`;
}

const text = () => pick(['Hello', 'world.', 'a\nb', ' x ', 'é 💍', '<b>', '--', '# t', '\\{{raw}}', '"q"', '<<<dotprompt:x>>>']);
const role = () => `{{role "${pick(['system', 'user', 'model'])}"}}`;
const json = () => `{{json ${pick(['list', 'place', 'name', 'count', 'this', '@plan', '@metadata.prompt', '@metadata.messages'])}${pick(['', ' indent=2'])}}},`;
const partial = () => pick(['{{>line}}', '{{> line name="Z"}}', '{{>line place}}', '{{> deep list=list n=3}}', ' {{>deep}}\n', '{{>turn}}', '{{>line this extra=name}}']);
const branches = (more) => pick(['', `{{else}}${sequence(more)}`, `{{else if ${pick(names)}}}${sequence(more)}{{else}}${sequence(more)}`]);
const item = () => pick(['{{@index}},', '{{@key}},', '{{this}},', '{{this.role}},', '{{@first}},', '{{name}},', '{{@../index}},', '']);

function equals(depth) {
	const helper = pick(['ifEquals', 'unlessEquals']);
	return `{{#${helper} ${pick(names)} ${pick([...names, '"Ann"', '3', 'true', 'null', 'undefined'])}}}${sequence(depth)}{{else}}${sequence(depth)}{{/${helper}}}`;
}

const leaves = [text, text, value, value, role, role, json, partial, () => '{{history}}', () => `{{section "${pick(['code', 'x'])}"}}`,
	() => pick(['{{! c }}', '{{!-- c }} --}}', '\n{{! alone }}\n']), () => `{{lookup ${pick(['list 0', 'place "town"', 'place name'])}}},`];

const blocks = [
	(d) => `{{#if ${pick(names)}}}${sequence(d)}${branches(d)}{{/if}}`,
	(d) => `{{#unless ${pick(names)}}}${sequence(d)}{{/unless}}`,
	(d) => `{{#each ${pick(['list', 'place', 'people', 'empty', '@metadata.messages'])}}}${item()}${sequence(d)}${pick(['', '{{else}}none'])}{{/each}}`,
	(d) => `{{#with ${pick(['place', 'missing', 'people.[0]'])}}}{{town}},{{../name}},${sequence(d)}{{/with}}`,
	(d) => `{{#people}}${item()}${sequence(d)}{{/people}}`,
	equals,
];

function sequence(depth) {
	let out = '';
	for (let i = random(4) + (depth === 0 ? 1 : 0); i >= 0; i--)
		out += blank() + (depth < 3 && random(3) === 0 ? pick(blocks)(depth + 1) : pick(leaves)()) + blank();
	return out;
}

const fronts = [
	'', '', '---\nmodel: local/x\n---\n', '---\r\nmodel: local/x\r\n---\r\n', '---  \nversion: "1"\n---\t\n\n \n',
	'---\nmodel: local/x\nname: nm\nconfig:\n  temperature: 0.3\nacme.level: 5\ninput:\n  schema:\n    name: string\n---\n\n',
	'---\nvariant: v\noutput:\n  schema:\n    a?: string, the first\n    b(array): integer\n    (*): any\n---\n',
];

const partials = {
	line: 'L[{{name}},{{extra}}]', deep: '{{#each list}}<{{this}}{{> line name=this}}>{{/each}}\n', turn: '{{role "model"}}from a partial {{name}}\n',
};

const turn = (who, said) => ({ role: who, content: [{ text: said }] });

function makeData() {
	const input = {
		name: pick(['Ann', '{{role "x"}}', '', ' ']), list: pick([['a', 'b'], [], [1]]), place: { town: 'T', size: 2 }, count: pick([0, 3]),
		flag: pick([true, false]), empty: [], people: [{ name: 'X' }, { name: 'Y' }],
	};
	if (random(5) === 0)
		delete input.name;
	return {
		input, context: pick([undefined, {}, { plan: 'P', caller: { id: 7 } }]),
		messages: pick([undefined, [], [turn('user', 'one'), turn('model', 'two')], [turn('model', 'alone')]]),
	};
}

// Messages are text here: parts that only mark a place are none of it.
function textOf(messages) {
	const joined = messages.map((m) => ({ role: m.role, content: m.content.map((part) => part.text || '').join('') }));
	return JSON.stringify(joined.filter((m) => m.content !== ''));
}

async function main() {
	let differences = 0;
	for (const name of Object.keys(partials))
		fs.writeFileSync(`${directory}/_${name}.prompt`, partials[name]);
	for (let i = 0; i < cases; i++) {
		const source = pick(fronts) + sequence(0), data = makeData();
		const wanted = textOf((await new Dotprompt({ partials }).render(source, data)).messages);
		fs.writeFileSync(`${directory}/case.prompt`, source);
		const ours = spawnSync(promptctl, ['render', `${directory}/case.prompt`], { input: JSON.stringify(data) });
		const got = ours.status === 0 ? JSON.stringify(JSON.parse(ours.stdout.toString())) : ours.stderr.toString();
		if (got === wanted)
			continue;
		if (differences++ < 5)
			console.log(`case ${i}: ${JSON.stringify(source)}\n  of ${JSON.stringify(data)}\n  wanted ${wanted}\n  got    ${got}`);
	}
	console.log(`${cases} cases, ${differences} differences`);
}

main();
