// What the pages do with script; all of them work without it. It runs when the page has arrived and before the first paint, so that it
// hears "pagereveal".
(() => {
	'use strict';

	const find = (selector, within = document) => within.querySelector(selector);

	// The page's own Server-Timing entries: how the edge tells script what it did.
	const timing = (name) => {
		const [load] = performance.getEntriesByType('navigation');
		return load?.serverTiming?.find((entry) => entry.name === name)?.description;
	};

	// Keys. Arrows, j and k go from photo to photo, in a grid by focus and on a photo's page by its links; "/" goes to the search field.

	const cards = () => [...document.querySelectorAll('.grid a')];
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
		if (event.key === '/') {
			const field = find('#q');
			field?.focus();
			field?.select();
			if (field) event.preventDefault();
			return;
		}
		if (event.shiftKey || !keys.includes(event.key)) return;
		if (find('.stage')) {
			const turn = { j: 'next', ArrowRight: 'next', k: 'prev', ArrowLeft: 'prev' }[event.key];
			const link = turn && find(`.stage a[rel=${turn}]`);
			if (!link) return;
			event.preventDefault();
			link.click();
			return;
		}
		const to = inGrid(event.key);
		if (!to) return;
		event.preventDefault();
		to.focus();
		to.scrollIntoView({ block: 'nearest' });
	});

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

	// A page that was too busy asks again by itself, once: one that came by reloading, or by going back, does not. Those who were refused at
	// the same moment come back at different ones.

	const retry = () => {
		const seconds = find('[data-retry]')?.dataset.retry;
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

	tellStale();
	retry();
	tellTrace();
})();
