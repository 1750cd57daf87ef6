// Shows each event of the stream: what is in it replaces what is shown, and what is the same stays as it is.
'use strict';

function follow(shown, news) {
	if (shown.nodeName !== news.nodeName || shown.childNodes.length !== news.childNodes.length) {
		shown.replaceWith(news);
		return;
	}
	if (shown.nodeType === Node.TEXT_NODE) {
		if (shown.data !== news.data) shown.data = news.data;
		return;
	}
	for (const {name} of [...shown.attributes]) {
		if (!news.hasAttribute(name)) shown.removeAttribute(name);
	}
	for (const {name, value} of news.attributes) {
		if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
	}
	const children = [...news.childNodes];
	[...shown.childNodes].forEach((child, n) => follow(child, children[n]));
}

const parser = new DOMParser();
const problem = text => {
	const main = document.createElement('main');
	const p = document.createElement('p');
	main.id = 'pool';
	p.className = 'problem';
	p.textContent = text;
	main.append(p);
	return main;
};
const show = news => follow(document.getElementById('pool'), document.importNode(news, true));
let open;

function listen() {
	open = new EventSource('/pool/events');
	open.onmessage = e => show(parser.parseFromString(e.data, 'text/html').getElementById('pool'));
	open.onerror = () => show(problem('This process does not answer. The page goes on when it does.'));
}

// Nobody asks the roles for a page that nobody sees.
document.addEventListener('visibilitychange', () => {
	if (document.hidden) open.close();
	else listen();
});
listen();
