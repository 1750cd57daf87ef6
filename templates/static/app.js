// What the pages do with script; all of them work without it. It runs when the page has arrived and before the first paint, so that it
// hears "pagereveal".
(() => {
	'use strict';

	const find = (selector, within = document) => within.querySelector(selector);
	const every = (selector, within = document) => [...within.querySelectorAll(selector)];
	const make = (tag, properties, ...children) => {
		const element = document.createElement(tag);
		element.append(...children);
		return Object.assign(element, properties);
	};

	const action = (label, onclick, properties) => make('button', { type: 'button', onclick, ...properties }, label);

	// The page's own Server-Timing entries: how the edge tells script what it did.
	const [load] = performance.getEntriesByType('navigation');
	const timing = (name) => load?.serverTiming?.find((entry) => entry.name === name)?.description;

	const fetchPage = async (address) => {
		const answer = await fetch(address);
		if (!answer.ok || answer.headers.get('X-Cache') === 'stale') throw Error(answer.status);
		return new DOMParser().parseFromString(await answer.text(), 'text/html');
	};

	// Lists. A photo's page is the same for everybody, so the list that a visitor came from stands in the fragment of
	// the address, which no server sees: /photo/9#in=/tag/sunset is photo 9 in the grid of /tag/sunset, and #liked=/ is
	// the strip with that id on the front page. It survives a reload, a new tab and a copied link. The lists seen last
	// are kept, so that their links are there at the first paint; others are read from their page.

	const parse = (hash) => {
		const [, id, path] = /^([a-z]+)=(\/.*)$/.exec(hash) ?? [];
		const url = path && new URL(path, location.href);
		return url && url.origin === location.origin ? { id, address: url.pathname + url.search } : null;
	};

	const readList = (page, hash) => {
		const { id, address } = parse(hash);
		const strip = id !== 'in' && page.getElementById(id);
		const links = every(strip ? '.grid a' : '.grid:not(.strip *) a', strip || page);
		const beyond = (rel) => (strip ? null : find(`.pager a[rel=${rel}]`, page)?.getAttribute('href'));
		return {
			hash,
			address,
			name: strip ? find('h2', strip).textContent : page.title.replace(/ · [^·]*$/, ''),
			photos: links.map((link) => link.pathname),
			prev: beyond('prev'),
			next: beyond('next'),
		};
	};

	const kept = () => {
		try {
			return JSON.parse(sessionStorage.lists);
		} catch {
			return [];
		}
	};

	const keep = (list) => {
		try {
			sessionStorage.lists = JSON.stringify([list, ...kept().filter((other) => other.hash !== list.hash)].slice(0, 16));
		} catch { /* no storage: the list is read again from its page */ }
		return list;
	};

	const listAt = async (hash) => kept().find((list) => list.hash === hash)
		?? keep(readList(await fetchPage(parse(hash).address), hash));

	// The address of the photo before (-1) or after (1) the one at an index; at a list's end it is on the list's
	// neighbouring page.
	const neighbour = async (list, at, step) => {
		const photo = list.photos[at + step];
		if (photo) return `${photo}#${list.hash}`;
		const beyond = step > 0 ? list.next : list.prev;
		const other = beyond && await listAt(`in=${beyond}`).catch(() => null);
		return other?.photos[0] ? `${other.photos.at(step > 0 ? 0 : -1)}#${other.hash}` : '';
	};

	const turn = (rel, href) => Object.assign(find(`.turn.${rel}`), { rel, href, hidden: !href });

	// Has the page of a photo follow the list in its address. New photos push a photo on to later pages of a list, so
	// these are tried too.
	const follow = async () => {
		const photo = location.pathname;
		let hash = location.hash.slice(1);
		for (let pages = 0; pages < 3 && parse(hash); pages++) {
			const list = await listAt(hash);
			const at = list.photos.indexOf(photo);
			if (at >= 0) {
				const up = find('.up');
				up.href = `${list.address}#at=${photo}#${hash}`;
				find('span', up).replaceChildren('Back to ', make('bdi', {}, list.name));
				const [prev, next] = await Promise.all([neighbour(list, at, -1), neighbour(list, at, 1)]);
				turn('prev', prev);
				turn('next', next);
				return;
			}
			hash = list.next && `in=${list.next}`;
		}
	};

	const cards = () => every('.grid a');

	// Has the photos of a listing name the list that they stand in; who comes back from one finds it again.
	const name = () => {
		const hashes = new Set();
		const here = location.pathname + location.search;
		for (const card of cards()) {
			card.hash = `${card.closest('.strip[id]')?.id ?? 'in'}=${here}`;
			hashes.add(card.hash.slice(1));
		}
		for (const hash of hashes) keep(readList(document, hash));
		if (!location.hash.startsWith('#at=')) return;
		const card = cards().find((other) => other.pathname + other.hash === location.hash.slice(4));
		history.replaceState(null, '', here);
		card?.scrollIntoView({ block: 'center' });
		card?.focus({ preventScroll: true });
	};

	// From photo to photo by key. The page is fetched and put in place of the one that is shown: a key that is pressed
	// while a document gives way to the next would be lost. Presses queue up, so that each goes on by one photo.

	const itsOwn = 'title, meta[name=description], meta[property], script[type], link:not([rel=stylesheet])';
	let shown = location.pathname;
	let queue = Promise.resolve();
	let waiting = 0;

	const soon = (action) => {
		waiting++;
		queue = queue.then(action).catch(() => {}).finally(() => { waiting--; });
	};

	const show = async (address, isNew) => {
		const page = await fetchPage(address).catch(() => null);
		if (!page) {
			if (isNew) location.assign(address);
			else location.reload();
			// This document ends.
			return new Promise(() => {});
		}
		const main = find('main', page);
		if (isNew) history.pushState(null, '', address);
		shown = location.pathname;
		every(itsOwn, document.head).forEach((element) => element.remove());
		document.head.append(...every(itsOwn, page.head));
		find('main').replaceWith(main);
		offerKeys(main);
		offerEdit();
		if (isNew) scrollTo(0, 0);
		main.focus({ preventScroll: true });
		return follow();
	};

	addEventListener('popstate', () => {
		if (find('.stage')) soon(() => (location.pathname === shown ? null : show(location.href, false)));
	});

	// Keys. On a photo's page they are for its links of that rel, in a grid they move the focus.

	const keys = {
		j: 'next', ArrowRight: 'next', k: 'prev', ArrowLeft: 'prev', u: 'up', Escape: 'up', ArrowUp: 'above', ArrowDown: 'below'
	};
	const meanings = {
		'j →': 'Next photo', 'k ←': 'Previous photo', '↑ ↓': 'Row above or below', 'u Esc': 'Up to the list', '/': 'Search',
		'?': 'These keys'
	};

	const dialog = make('dialog', { ariaLabel: 'Keys' },
		make('h2', {}, 'Keys'),
		make('dl', {}, ...Object.entries(meanings).map(([names, meaning]) => make('div', {},
			make('dt', {}, ...names.split(' ').map((key) => make('kbd', {}, key))), make('dd', {}, meaning)))),
		action('Close', () => dialog.close()));
	document.body.append(dialog);
	const toggleKeys = () => (dialog.open ? dialog.close() : dialog.showModal());

	const offerKeys = (within) => {
		const places = every('.bar, .foot p', within);
		for (const place of places) place.append(' ', action('Keys', toggleKeys, { className: 'keys' }));
	};

	// The card above (-1) or below (1): of the closest other row, the one whose middle is closest.
	const vertical = (all, card, step) => {
		const from = card.getBoundingClientRect();
		const score = (other) => {
			const box = other.getBoundingClientRect();
			const rows = (box.top - from.top) * step;
			return rows > 2 ? rows * 1e4 + Math.abs(box.left + box.right - from.left - from.right) : Infinity;
		};
		const best = all.reduce((a, b) => (score(b) < score(a) ? b : a), card);
		return best !== card && best;
	};

	const inGrid = (key) => {
		const all = cards();
		const at = all.indexOf(document.activeElement);
		if (at < 0) {
			// Nothing is chosen yet: letters begin with the first photo in sight; arrows go on scrolling.
			return key.length < 2 ? all.find((card) => card.getBoundingClientRect().top >= 0) : null;
		}
		switch (keys[key]) {
			case 'next': return all[at + 1] ?? find('.pager [rel=next]');
			case 'prev': return all[at - 1];
			case 'above': return vertical(all, all[at], -1);
			case 'below': return vertical(all, all[at], 1);
			default: return null;
		}
	};

	document.addEventListener('keydown', (event) => {
		if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.isComposing) return;
		if (event.target.closest?.('input, textarea, select')) return;
		if (event.key === '?') {
			event.preventDefault();
			toggleKeys();
			return;
		}
		if (dialog.open) return;
		if (event.key === '/') {
			const field = find('#q');
			event.preventDefault();
			field.focus();
			field.select();
			return;
		}
		const way = keys[event.key];
		if (!way || event.shiftKey) return;
		if (find('.stage')) {
			if (!find(`.stage .${way}`) || event.repeat && waiting) return;
			event.preventDefault();
			soon(() => {
				const link = find(`.stage .${way}:not([hidden])`);
				return way === 'up' ? link.click() : link && show(link.href, true);
			});
			return;
		}
		const to = inGrid(event.key);
		if (!to) return;
		event.preventDefault();
		to.focus();
		to.scrollIntoView({ block: 'nearest' });
	});

	// Strips: buttons that scroll them, and a fade where they go on.

	for (const strip of every('.strip')) {
		const reel = find('.reel', strip);
		const buttons = [-1, 1].map((way) => {
			const slide = () => reel.scrollBy({ left: way * reel.clientWidth * 0.8 });
			return action(way < 0 ? '‹' : '›', slide, { className: 'slide', ariaLabel: way < 0 ? 'Scroll back' : 'Scroll on' });
		});
		const update = () => {
			const rest = reel.scrollWidth - reel.clientWidth - reel.scrollLeft;
			const more = [reel.scrollLeft > 1, rest > 1];
			buttons.forEach((button, i) => {
				button.ariaDisabled = !more[i];
				button.hidden = !more[0] && !more[1];
			});
			reel.classList.toggle('past', more[0]);
			reel.classList.toggle('more', more[1]);
		};
		reel.before(make('div', { className: 'slides' }, ...buttons));
		reel.addEventListener('scroll', update, { passive: true });
		addEventListener('resize', update);
		update();
	}

	// View transitions: the picture that is left or come back to carries the name that the photo's page gives its own.

	const pictureOf = (address) => {
		const image = address && cards().find((card) => card.pathname === new URL(address).pathname)?.firstElementChild;
		const box = image?.getBoundingClientRect();
		return box?.bottom > 0 && box.top < innerHeight ? image : null;
	};

	// A transition is aborted when the visitor goes on before it has ended. That is not an error.
	const carry = (transition, address) => {
		if (!transition) return;
		const image = pictureOf(address);
		if (image) image.style.viewTransitionName = 'photo';
		const over = () => { if (image) image.style.viewTransitionName = ''; };
		for (const promise of ['ready', 'updateCallbackDone', 'finished']) transition[promise].catch(over);
		transition.finished.then(over, over);
	};

	addEventListener('pageswap', (event) => carry(event.viewTransition, event.activation?.entry?.url));
	addEventListener('pagereveal', (event) => carry(event.viewTransition, globalThis.navigation?.activation?.from?.url));

	// A page that the edge could only show from an older copy says so, and says when that is over.

	const wait = (seconds) => new Promise((done) => { setTimeout(done, seconds * 1000); });

	const fresh = async () => {
		try {
			const answer = await fetch(location.href, { method: 'HEAD', cache: 'no-store' });
			return answer.ok && answer.headers.get('X-Cache') !== 'stale';
		} catch {
			return false;
		}
	};

	const tellStale = async () => {
		const line = find('.stale');
		if (!line || timing('cache') !== 'stale') return;
		line.hidden = false;
		line.textContent = 'From a moment ago; looking for news…';
		for (let seconds = 4; seconds < 300; seconds *= 2) {
			await wait(seconds);
			if (await fresh()) {
				const link = document.createElement('a');
				link.href = location.href;
				link.textContent = 'Show the newest';
				line.replaceChildren('Connected again. ', link);
				return;
			}
		}
		line.textContent = 'Shown from a moment ago.';
	};

	// A page that was too busy asks again by itself, once: neither one that came by reloading does, nor one that was
	// gone back to. Visitors who were refused at the same moment come back apart.
	const retry = () => {
		const seconds = Number(find('[data-retry]')?.dataset.retry);
		if (seconds && load?.type === 'navigate') wait(seconds * (1 + Math.random())).then(() => location.reload());
	};

	// An error page shows the request's id, which the log has too.
	const tellTrace = () => {
		const place = find('.trace');
		const id = timing('id');
		if (!place || !id) return;
		find('code', place).textContent = id;
		place.hidden = false;
	};

	// A page is the same for everybody, so the header learns from a cookie who is signed in.
	const [, who] = /(?:^|; )me=([\w-]+)/.exec(document.cookie) ?? [];
	const greet = () => {
		const link = find('.me');
		link.textContent = who ? who.replace(/(.{7}).{2,}/, '$1…') : 'Sign in';
		if (who && innerWidth >= 640) link.before(make('a', { href: '/upload' }, 'Upload'));
		if (!who) link.href = `/signin?next=${encodeURIComponent(location.pathname + location.search)}`;
	};

	// Likewise a photo of one's own has a link to the form that changes it.
	const offerEdit = () => {
		if (!who || !find(`.story [rel=author][href="/photos/${who}"]`)) return;
		const href = `/me/photos/${location.pathname.slice(7)}`;
		find('.story .facts').append(' ', make('span', {}, make('a', { href }, 'Edit')));
	};

	greet();
	offerEdit();
	name();
	offerKeys();
	if (find('.stage')) soon(follow);
	tellStale();
	retry();
	tellTrace();
})();
