// Loaded before a program that has no setting for the address it listens on: loopback, and nothing else.
const net = require('net');
const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (port, ...rest) {
	if (typeof port !== 'number' && typeof port !== 'string')
		throw new Error('listens on something else than a port');
	return listen.call(this, Number(port), '127.0.0.1', ...rest.filter((one) => typeof one === 'function'));
};
