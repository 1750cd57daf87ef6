// What the pages do with script; all of them work without it. It runs when the page has arrived and before the first paint, so that it
// hears "pagereveal".
(() => {
	'use strict';

	const find = (selector, within = document) => within.querySelector(selector);
	const every = (selector, within = document) => [...within.querySelectorAll(selector)];
	const make = (tag, properties, ...children) => {
		const element = Object.assign(document.createElement(tag), properties);
		element.append(...children);
		return element;
	};

	// The page's own Server-Timing entries: how the edge tells script what it did.
	const timing = (name) => {
		const [load] = performance.getEntriesByType('navigation');
		return load?.serverTiming?.find((entry) => entry.name === name)?.description;
	};

	const fetchPage = async (address) => {
		const answer = await fetch(address);
		if (!answer.ok || answer.headers.get('X-Cache') === 'stale') throw new Error(`${address}: ${answer.status}`);
		return new DOMParser().parseFromString(await answer.text(), 'text/html');
	};

	// Lists. A photo's page is the same for everybody, so the list that a visitor came from stands in the fragment of the address, which no
	// server sees: /photo/9#in=/tag/sunset is photo 9 in the grid of /tag/sunset, and #liked=/ is the strip with that id on the front page.
	// It survives a reload, a new tab and a copied link. The lists seen last are kept, so that their links are there at the first paint;
	// others are read from their page.

	const parse = (fragment) => {
		const [, id, path] = /^([a-z]+)=(\/.*)$/.exec(fragment) ?? [];
		const url = path && new URL(path, location.href);
		return url && url.origin === location.origin ? { id, address: url.pathname + url.search } : null;
	};

	const readList = (page, fragment) => {
		const { id, address } = parse(fragment);
		const strip = id !== 'in' && page.getElementById(id);
		const links = every(strip ? '.grid a' : '.grid:not(.strip *) a', strip || page);
		const beyond = (rel) => (strip ? null : find(`.pager a[rel=${rel}]`, page)?.getAttribute('href'));
		return {
			fragment,
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
			sessionStorage.lists = JSON.stringify([list, ...kept().filter((other) => other.fragment !== list.fragment)].slice(0, 16));
		} catch { /* no storage: the list is read again from its page */ }
		return list;
	};

	const listAt = async (fragment) => kept().find((list) => list.fragment === fragment)
		?? keep(readList(await fetchPage(parse(fragment).address), fragment));

	// The address of the photo before (-1) or after (1) the one at an index; at a list's end it is on the list's neighbouring page.
	const neighbour = async (list, at, step) => {
		const photo = list.photos[at + step];
		if (photo) return `${photo}#${list.fragment}`;
		const beyond = step > 0 ? list.next : list.prev;
		const other = beyond && await listAt(`in=${beyond}`);
		return other?.photos.length ? `${other.photos.at(step > 0 ? 0 : -1)}#${other.fragment}` : '';
	};

	const turn = (rel, address) => {
		const link = find(`.turn[rel=${rel}]`);
		link.hidden = !address;
		link.removeAttribute('href');
		if (address) link.href = address;
	};

	// Has the page of a photo follow the list in its address. New photos push a photo on to later pages of a list, so these are tried too.
	const follow = async () => {
		const photo = location.pathname;
		let fragment = location.hash.slice(1);
		for (let pages = 0; pages < 3 && parse(fragment); pages++) {
			const list = await listAt(fragment);
			const at = list.photos.indexOf(photo);
			if (at >= 0) {
				const up = find('.up');
				up.href = `${list.address}#at=${photo}#${fragment}`;
				find('span', up).replaceChildren('Back to ', make('bdi', { textContent: list.name }));
				const [prev, next] = await Promise.all([neighbour(list, at, -1), neighbour(list, at, 1)]);
				turn('prev', prev);
				turn('next', next);
				return;
			}
			fragment = list.next && `in=${list.next}`;
		}
	};

	const cards = () => every('.grid a');

	// Has the photos of a listing name the list that they stand in; who comes back from one finds it again.
	const name = () => {
		const fragments = new Set();
		for (const card of cards()) {
			card.hash = `${card.closest('.strip[id]')?.id ?? 'in'}=${location.pathname}${location.search}`;
			fragments.add(card.hash.slice(1));
		}
		for (const fragment of fragments) keep(readList(document, fragment));
		if (!location.hash.startsWith('#at=')) return;
		const card = cards().find((other) => other.pathname + other.hash === location.hash.slice(4));
		history.replaceState(null, '', location.pathname + location.search);
		card?.scrollIntoView({ block: 'center' });
		card?.focus({ preventScroll: true });
	};

	// From photo to photo by key. The page is fetched and put in place of the one that is shown: a key that is pressed while a document
	// gives way to the next would be lost. Presses queue up, so that each goes on by one photo.

	const itsOwn = 'title, meta[name=description], meta[property], script[type], link:is([rel=canonical], [rel=prev], [rel=next], [rel=alternate])';
	let shown = location.pathname;
	let queue = Promise.resolve();
	let waiting = 0;

	const soon = (action) => {
		waiting++;
		queue = queue.then(action).catch(() => {}).finally(() => { waiting--; });
	};

	const show = async (address, isNew) => {
		const page = await fetchPage(address).catch(() => null);
		const main = page && find('main', page);
		if (!main || !find('.stage', main)) {
			if (isNew) location.assign(address);
			else location.reload();
			return new Promise(() => {}); // this document ends
		}
		if (isNew) history.pushState(null, '', address);
		shown = location.pathname;
		const held = document.activeElement?.closest('.turn')?.rel;
		every(itsOwn, document.head).forEach((element) => element.remove());
		document.head.append(...every(itsOwn, page.head));
		find('main').replaceWith(main);
		offerKeys(main);
		if (isNew) scrollTo(0, 0);
		(held ? find(`.turn[rel=${held}]`) : main).focus({ preventScroll: true });
		return follow();
	};

	addEventListener('popstate', () => {
		if (find('.stage')) soon(() => (location.pathname === shown ? null : show(location.href, false)));
	});

	// Keys.

	const letters = [['j', '→', 'Next photo'], ['k', '←', 'Previous photo'], ['↑', '↓', 'Row above or below'], ['u', 'Esc', 'Up to the list'], ['/', 'Search'], ['?', 'These keys']];

	const toggleKeys = () => {
		let dialog = find('dialog');
		if (dialog?.open) return dialog.close();
		if (!dialog) {
			const close = make('button', { type: 'button', textContent: 'Close', autofocus: true });
			const rows = letters.map((row) => {
				const what = row.at(-1);
				return make('div', {}, make('dt', {}, ...row.slice(0, -1).map((key) => make('kbd', { textContent: key }))), make('dd', { textContent: what }));
			});
			dialog = make('dialog', { ariaLabel: 'Keys' }, make('h2', { textContent: 'Keys' }), make('dl', {}, ...rows), close);
			close.addEventListener('click', () => dialog.close());
			document.body.append(dialog);
		}
		return dialog.showModal();
	};

	const offerKeys = (within) => {
		for (const place of every('.bar, .foot p', within)) {
			const button = make('button', { type: 'button', className: 'keys', textContent: 'Keys' });
			button.addEventListener('click', toggleKeys);
			place.append(' ', button);
		}
	};

	const middle = (card) => {
		const box = card.getBoundingClientRect();
		return { x: (box.left + box.right) / 2, y: box.top };
	};

	// The card nearest to above or below: of the closest other row, the one whose middle is closest.
	const vertical = (all, card, step) => {
		const from = middle(card);
		let best = null;
		let bestScore = Infinity;
		for (const other of all) {
			const at = middle(other);
			const rows = (at.y - from.y) * step;
			const score = rows * 1e4 + Math.abs(at.x - from.x);
			if (rows > 2 && score < bestScore) {
				best = other;
				bestScore = score;
			}
		}
		return best;
	};

	const inGrid = (key) => {
		const all = cards();
		const at = all.indexOf(document.activeElement);
		const letter = key === 'j' || key === 'k';
		if (at < 0) {
			// Nothing is chosen yet: letters begin with the first photo in sight; arrows go on scrolling.
			return letter ? all.find((card) => card.getBoundingClientRect().top >= 0) : null;
		}
		switch (key) {
			case 'j':
			case 'ArrowRight':
				return all[at + 1] ?? find('.pager [rel=next]');
			case 'k':
			case 'ArrowLeft':
				return all[at - 1];
			default:
				return vertical(all, all[at], key === 'ArrowDown' ? 1 : -1);
		}
	};

	const keys = ['j', 'k', 'ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'];

	document.addEventListener('keydown', (event) => {
		if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.isComposing) return;
		if (event.target.closest?.('input, textarea, select')) return;
		if (event.key === '?') {
			event.preventDefault();
			toggleKeys();
			return;
		}
		if (find('dialog[open]')) return;
		if (event.key === '/') {
			const field = find('#q');
			field?.focus();
			field?.select();
			if (field) event.preventDefault();
			return;
		}
		if (event.shiftKey) return;
		if (find('.stage')) {
			const link = { j: 'next', ArrowRight: 'next', k: 'prev', ArrowLeft: 'prev', u: 'up', Escape: 'up' }[event.key];
			if (!link) return;
			event.preventDefault();
			if (event.repeat && waiting) return;
			soon(() => (link === 'up' ? find('.up').click() : find(`.turn[rel=${link}][href]`) && show(find(`.turn[rel=${link}]`).href, true)));
			return;
		}
		if (!keys.includes(event.key)) return;
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
			const button = make('button', { type: 'button', className: 'slide', ariaLabel: way < 0 ? 'Scroll back' : 'Scroll on', textContent: way < 0 ? '‹' : '›' });
			button.addEventListener('click', () => reel.scrollBy({ left: way * reel.clientWidth * 0.8 }));
			return button;
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
		const path = address && new URL(address).pathname;
		const image = path && cards().find((card) => card.pathname === path)?.firstElementChild;
		if (!image) return null;
		const box = image.getBoundingClientRect();
		return box.bottom > 0 && box.top < innerHeight ? image : null;
	};

	const carry = (transition, address) => {
		const image = transition && pictureOf(address);
		if (!image) return;
		image.style.viewTransitionName = 'photo';
		const drop = () => { image.style.viewTransitionName = ''; };
		transition.finished.then(drop, drop);
	};

	// Whoever goes on before a transition has ended aborts it, which is no error.
	const reveal = (transition, address) => {
		transition?.ready.catch(() => {});
		transition?.finished.catch(() => {});
		carry(transition, address);
	};

	addEventListener('pageswap', (event) => reveal(event.viewTransition, event.activation?.entry?.url));
	addEventListener('pagereveal', (event) => reveal(event.viewTransition, globalThis.navigation?.activation?.from?.url));

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
		line.textContent = 'Shown from a moment ago; reconnecting…';
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

	// A page that was too busy asks again by itself, once: neither one that came by reloading does, nor one that was gone back to. Visitors
	// who were refused at the same moment come back apart.
	const retry = () => {
		const seconds = Number(find('[data-retry]')?.dataset.retry);
		const [load] = performance.getEntriesByType('navigation');
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

	name();
	offerKeys();
	if (find('.stage')) soon(follow);
	tellStale();
	retry();
	tellTrace();
})();
