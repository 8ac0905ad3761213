/*
 * handlebars.js - random templates and data, and what npm's handlebars makes of them.
 *
 *   node handlebars.js generate SEED COUNT JOBS EXPECTED    (NODE_PATH leads to the handlebars package)
 *   node handlebars.js compare JOBS EXPECTED RESULTS        prints the differences, and how many there are on the last line
 *
 * Handlebars adds up numbers where two mustaches stand side by side at the start of a block ({{a}}{{b}} of 1 and 2 is 3 with its noEscape): an
 * accident of the code it generates. Here it is made to append text as it does everywhere else, without escaping.
 */
'use strict';
const fs = require('fs');

/* mulberry32: small, and the same everywhere. */
function randomness(seed) {
	let state = seed >>> 0;
	const next = () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let t = Math.imul(state ^ (state >>> 15), state | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
	const below = (n) => Math.floor(next() * n);
	return { below, chance: (p) => next() < p, pick: (list) => list[below(list.length)] };
}

const KEYS = ['a', 'b', 'c', 'list', 'obj', 'name', 'odd key', 'x-y', 'größe', '1', '10', 'this', 'true'];
const STRINGS = ['', 'x', '0', '1', '12', ' ', 'two words', '<b>&"\'</b>', 'l1\nl2',
	'l1\n\n  l2\n', '\n', 'xyzé😀', '{{a}}', '<<<dotprompt:role:system>>>', '\\', '}}', '1,2', '\u00a0'];
const NUMBERS = [0, 1, -1, 2, 12, 3.5, -0.25, 1e21, 1e-7, 123456789012, 0.1, 100];

function value(r, depth) {
	const kind = r.below(depth > 0 ? 9 : 5);
	if (kind === 0) return r.pick([true, false]);
	if (kind === 1) return r.chance(0.3) ? null : r.pick(STRINGS);
	if (kind === 2) return r.pick(NUMBERS);
	if (kind <= 4) return r.pick(STRINGS);
	if (kind <= 6) return Array.from({ length: r.below(4) }, () => value(r, depth - 1));
	return object(r, depth - 1, r.below(4));
}

function object(r, depth, count) {
	const made = {};
	for (let i = 0; i < count; i++) made[r.pick(KEYS)] = value(r, depth);
	return made;
}

/* Templates. `g` is what there is to draw on: randomness, block parameters in sight, partials that may be included. */
const segment = (key) => (/^[a-zö-ü-]+$/i.test(key) && key !== 'this' && key !== 'true' ? key : `[${key}]`);

function path(g) {
	const { r } = g;
	const name = () => (r.chance(0.05) ? 'length' : r.chance(0.1) ? `[${r.below(3)}]` : segment(r.pick(KEYS)));
	const names = () => Array.from({ length: 1 + r.below(3) }, name);
	const kind = r.below(20);
	if (kind < 8) return segment(r.pick(KEYS));
	if (kind < 10) return names().join(r.chance(0.2) ? '/' : '.');
	if (kind === 10) return r.pick(['this', '.', './.', 'this/.']);
	if (kind === 11) return r.pick(['./', 'this.', 'this/']) + names().join('.');
	if (kind === 12) return '../'.repeat(1 + r.below(3)) + names().join('.');
	if (kind === 13) return r.pick(['..', '../..', '../.', '../this']);
	if (kind === 14) return r.pick(['@root', '@root.']).replace(/\.$/, () => '.' + names().join('.'));
	if (kind <= 16) return r.pick(['@index', '@key', '@first', '@last', '@../index', '@../key', '@../first', '@../../last']);
	if (kind === 17) return '@' + r.pick(['state', 'state.a', 'state.b.c', 'zero.x', 'none', '../state', 'state/a']);
	if (kind === 18 && g.params.length > 0) return r.pick(g.params) + (r.chance(0.3) ? '.' + names().join('.') : '');
	return segment(r.pick(KEYS)) + '.' + r.pick(['0.a', '[0]', 'length', '[odd key]', '1.b.c']);
}

function literal(g) {
	return g.r.pick(['"x"', "'x'", '""', '"1"', '"say \\"a\\""', "'it\\'s'", '"a\\nb"',
		'0', '1', '12', '-1', '3.5', '-0.25', '1.0', 'true', 'false', 'null', 'undefined', '"odd key"']);
}

const argument = (g) => (g.r.chance(0.06) ? `(lookup ${path(g)} ${argument(g)})` : g.r.chance(0.3) ? literal(g) : path(g));
const space = (g) => g.r.pick(['', '', '', '', ' ', '  ', '\n', '\t']);
const gap = (g) => g.r.pick([' ', ' ', ' ', '  ', '\n ', '\t']);

/* Opens and closes a tag, with ~ now and then. */
const tag = (g, sign, inside) => `{{${g.r.chance(0.12) ? '~' : ''}${sign}${space(g)}${inside}${space(g)}${g.r.chance(0.12) ? '~' : ''}}}`;

function text(g) {
	const { r } = g;
	const bits = ['word', ' ', '  ', '\n', '\n', '\n\n', '\t', '  \n', '\r\n', '. ', '{', '}', '{ {', '\\',
		'é😀', '\u00a0', '<b>', '- ', ' \n  ', 'two words', '$&'];
	return Array.from({ length: 1 + r.below(4) }, () => r.pick(bits)).join('');
}

function mustache(g) {
	const { r } = g;
	const kind = r.below(12);
	if (kind === 0) return tag(g, '', `json${gap(g)}${path(g)}`);
	const indent = () => `indent${r.pick(['=', ' = '])}${r.pick(['2', '4', '0', '1', '12', '"--"', '"  "', 'true', 'null'])}`;
	if (kind === 1) return tag(g, '', `json${gap(g)}${path(g)} ${indent()}`);
	if (kind === 2) return tag(g, '', `lookup ${path(g)} ${argument(g)}`);
	if (kind === 3) return `{{${r.chance(0.1) ? '~' : ''}{${space(g)}${path(g)}${space(g)}}${r.chance(0.1) ? '~' : ''}}}`;
	if (kind === 4) return tag(g, '&', path(g));
	if (kind === 5) return r.pick(['{{"odd key"}}', '{{12}}', '{{true}}', "{{'a'}}", '{{1.50}}', '{{null}}']);
	return tag(g, '', path(g));
}

function comment(g) {
	const inside = g.r.pick([' note ', '', ' a } b ', ' two\nlines ', ' x~y ']);
	if (g.r.chance(0.5)) return tag(g, `!${inside}`, '');
	return tag(g, `!-- {{a}} ${inside} --`, '').replace(/\s+(~?\}\})$/, '$1').replace(/\{\{(~?)!--/, '{{$1!--');
}

/* What a block's opening tag says, its name, and the block parameters it gives. */
function opening(g) {
	const { r } = g;
	const kind = r.below(12);
	if (kind < 3) return [`if${gap(g)}${argument(g)}${r.chance(0.2) ? ' includeZero=' + r.pick(['true', 'false', path(g)]) : ''}`, 'if', []];
	if (kind === 3) return [`unless ${argument(g)}${r.chance(0.2) ? ' includeZero=true' : ''}`, 'unless', []];
	if (kind === 4) return [`ifEquals ${argument(g)} ${argument(g)}`, 'ifEquals', []];
	if (kind === 5) return [`unlessEquals ${argument(g)} ${argument(g)}`, 'unlessEquals', []];
	if (kind < 10) {
		const name = kind < 8 ? 'each' : 'with';
		const params = r.chance(0.3) ? r.pick([['item'], ['item', 'place'], ['a'], ['item', 'b', 'more']]) : [];
		return [`${name} ${argument(g)}${params.length > 0 ? ` as |${params.join(' ')}|` : ''}`, name, params];
	}
	const section = path(g);
	return [section, section, []];
}

/* How Handlebars compares the names of opening and closing tags: without brackets. */
const within = (g, params) => ({ ...g, depth: g.depth - 1, params: [...g.params, ...params] });

function block(g) {
	const { r } = g;
	const [said, name, params] = opening(g);
	const inverted = params.length === 0 && r.chance(0.12);
	let made = tag(g, inverted ? '^' : '#', said) + body(within(g, params));
	for (let links = inverted || r.chance(0.8) ? 0 : 1 + r.below(3); links > 0; links--) {
		const [chained, , more] = opening(g);
		made += tag(g, '', `else${gap(g)}${chained}`) + body(within(g, more));
	}
	if (r.chance(0.35)) made += (r.chance(0.85) ? tag(g, '', 'else') : '{{^}}') + body(within(g, []));
	return made + tag(g, '/', name);
}

function partial(g) {
	const { r } = g;
	const name = r.pick(g.partials);
	const context = r.chance(0.4) ? ' ' + path(g) : '';
	const hash = r.pick([[], [], ['a'], ['b', 'a'], ['name', 'list', '1']]).map((key) => ` ${segment(key)}=${argument(g)}`);
	return tag(g, '>', name + context + hash.join(''));
}

function piece(g) {
	const kind = g.r.below(20);
	if (kind < 8) return text(g);
	if (kind < 13) return mustache(g);
	if (kind === 13) return comment(g);
	if (kind === 14) return g.r.pick(['\\{{a}}', '\\\\{{a}}', '\\\\\\{{a}}', '\\{{#if a}} \n', '\\{{a}} \\{{b}}\n']);
	if (kind === 15 && g.partials.length > 0) return partial(g);
	const alone = () => (g.r.chance(0.5) || g.partials.length === 0 ? comment(g) : partial(g));
	if (kind === 16) return `\n${g.r.pick(['', ' ', '  \t'])}${alone()}${g.r.pick(['', ' '])}\n`;
	if (g.depth <= 0) return text(g);
	return kind === 17 ? `\n${g.r.pick(['', '  '])}${block(g)}${g.r.pick(['', ' '])}\n` : block(g);
}

function body(g) {
	return Array.from({ length: g.r.below(5) }, () => piece(g)).join('');
}

/* Chance makes text that is no template now and then ("{" before a mustache); what `parses` refuses is made anew. */
function sound(make, parses) {
	for (;;) {
		const source = make();
		if (parses(source)) return source;
	}
}

function job(r, parses) {
	const partials = {};
	const g = { r, depth: 4, params: [], partials: [] };
	for (const name of ['last', 'mid.dle', 'first-one']) {
		partials[name] = sound(() => body({ ...g, depth: 2, partials: Object.keys(partials) }), parses);
	}
	const all = { ...g, partials: Object.keys(partials) };
	const template = sound(() => body(all) + piece(all) + body(all), r.chance(0.05) ? () => true : parses);
	const context = { zero: 0, state: value(r, 2) };
	return { template, partials, input: object(r, 3, 8), context };
}

/* The reference. */
function reference() {
	const Handlebars = require('handlebars');
	const helpers = {
		json: (v, options) => new Handlebars.SafeString(JSON.stringify(v, null, options.hash.indent || 0)),
		ifEquals(a, b, options) {
			return a === b ? options.fn(this) : options.inverse(this);
		},
		unlessEquals(a, b, options) {
			return a !== b ? options.fn(this) : options.inverse(this);
		},
	};
	Handlebars.logger.level = 9;
	Handlebars.registerHelper(helpers);
	Handlebars.Utils.escapeExpression = (v) => (v === undefined || v === null ? '' : '' + v);
	const Escaper = class extends Handlebars.Visitor {
		MustacheStatement(node) {
			node.escaped = true;
			super.MustacheStatement(node);
		}
	};
	/* Handlebars finds an unknown helper when it first runs what it stands in, the product when it loads the file: so all that can be reached is looked at first. */
	const Partials = class extends Handlebars.Visitor {
		constructor() {
			super();
			this.names = [];
		}
		PartialStatement(node) {
			this.names.push(node.name.original);
			super.PartialStatement(node);
		}
	};
	const knownHelpers = Object.fromEntries(['json', 'ifEquals', 'unlessEquals', 'role', 'history', 'section'].map((name) => [name, true]));
	const compile = (source) => {
		const tree = Handlebars.parse(source);
		new Escaper().accept(tree);
		return Handlebars.compile(tree, { knownHelpers, knownHelpersOnly: true });
	};
	const lookAt = (source, partials, seen) => {
		const tree = Handlebars.parse(source), found = new Partials();
		Handlebars.precompile(tree, { knownHelpers, knownHelpersOnly: true });
		found.accept(tree);
		for (const name of found.names) {
			if (seen.has(name)) continue;
			seen.add(name);
			lookAt(partials[name], partials, seen);
		}
	};
	const render = ({ template, partials, input, context }) => {
		lookAt(template, partials, new Set());
		const compiled = Object.fromEntries(Object.entries(partials).map(([name, source]) => [name, compile(source)]));
		return compile(template)(input, { partials: compiled, data: context });
	};
	const parses = (source) => {
		try {
			Handlebars.parse(source);
			return true;
		} catch {
			return false;
		}
	};
	return { render, parses };
}

function generate(seed, count, jobsFile, expectedFile) {
	const r = randomness(seed);
	const { render, parses } = reference();
	const jobs = [], expected = [];
	for (let i = 0; i < count; i++) {
		const made = job(r, parses);
		jobs.push(JSON.stringify(made));
		try {
			expected.push(JSON.stringify({ text: Buffer.from(render(made), 'utf8').toString('utf8') }));
		} catch (error) {
			expected.push(JSON.stringify({ error: String(error.message) }));
		}
	}
	fs.writeFileSync(jobsFile, jobs.join('\n') + '\n');
	fs.writeFileSync(expectedFile, expected.join('\n') + '\n');
}

const lines = (file) => fs.readFileSync(file, 'utf8').split('\n').slice(0, -1);

function same(expected, result) {
	if (expected.error !== undefined || result.error !== undefined) return expected.error !== undefined && result.error !== undefined;
	if (expected.text.trim() === '') return result.messages.length === 0;
	return result.messages.length === 1 && result.messages[0].role === 'user' && result.messages[0].content === expected.text;
}

function compare(jobsFile, expectedFile, resultsFile) {
	const jobs = lines(jobsFile), expected = lines(expectedFile), results = lines(resultsFile);
	let differences = 0, refused = 0;
	for (let i = 0; i < jobs.length; i++) {
		const wanted = JSON.parse(expected[i]), got = results[i] === undefined ? { error: 'no answer' } : JSON.parse(results[i]);
		refused += wanted.error !== undefined;
		if (same(wanted, got)) continue;
		if (++differences <= 5) console.log(`case ${i + 1}: ${jobs[i]}\n  handlebars ${expected[i]}\n  here       ${results[i]}`);
	}
	console.log(`${jobs.length} cases, ${refused} of them refused by both, ${differences} differences`);
}

const [, , command, ...args] = process.argv;
if (command === 'generate') generate(Number(args[0]), Number(args[1]), args[2], args[3]);
else if (command === 'compare') compare(...args);
else process.exit(2);
